/** The grammar of channel names: words separated by dots, at most 255 bytes, no control characters. */
import { MessagingError } from "../protocol/errors.ts";
import { utf8Length } from "../protocol/lean/utf8-length.ts";
import { MAX_CHANNEL_BYTES } from "../protocol/limits.ts";

/** Whether a name holds a word that is a wildcard: `*` anywhere, `**` as the last word. */
export function isPattern(name: string): boolean {
  return name.includes("*") && name.split(".").some((word) => word === "*" || word === "**");
}

/**
 * Checks a literal channel name.
 *
 * @throws MessagingError BAD_REQUEST for an empty name or word, a pattern, a control character, a
 * lone surrogate, or more than 255 bytes of UTF-8.
 */
export function checkChannel(name: string): void {
  const problem = channelProblem(name);
  if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
}

/** What is wrong with a literal channel name, or undefined. */
export function channelProblem(name: string): string | undefined {
  // A program that embeds the server may hand over anything.
  if (typeof name !== "string") return "channel is no text";
  if (name === "") return "channel is empty";
  if (!name.isWellFormed()) return "channel is not valid Unicode";
  if (utf8Length(name) > MAX_CHANNEL_BYTES)
    return `channel is longer than ${MAX_CHANNEL_BYTES} bytes`;
  if (hasControlCharacter(name)) return "channel holds a control character";
  if (name.startsWith(".") || name.endsWith(".") || name.includes("..")) {
    return "channel holds an empty word";
  }
  if (isPattern(name)) return "channel is a pattern";
  return undefined;
}

function hasControlCharacter(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return true;
  }
  return false;
}
