/** What visitors read of a failure. Advice for authors of clients is not for them. */
import type { Gap } from "../../client/core/message.ts";
import type { MessagingError } from "../../protocol/errors.ts";

/**
 * What is missing, and why. Offsets are named where both ends of the hole are in one life of the log.
 *
 * @example
 * gapText(gap); // "chat: messages 3 to 7 are missing. They were too old to be kept."
 */
export function gapText({ channel, reason, after, until }: Gap): string {
  const first = (after?.offset ?? 0) + 1;
  const last = until?.offset;
  const which =
    after !== undefined && last !== undefined && after.epoch === until?.epoch && last >= first
      ? ` ${first === last ? first : `${first} to ${last}`}`
      : "";
  return `${channel}: messages${which} are missing. ${REASONS[reason] ?? "Why is not known."}`;
}

const REASONS: Readonly<Record<string, string>> = {
  head_trimmed: "The channel keeps only its newest messages.",
  expired: "They were too old to be kept.",
  epoch_changed: "The channel has begun anew.",
  limit: "There were too many to bring them at once; history has them.",
};

export function refusalText(channel: string, error: MessagingError): string {
  return `Nothing comes of ${channel}: ${error.message}.`;
}

export function closedText(error: MessagingError | undefined): string {
  const why = error === undefined ? "" : ` (${error.message})`;
  return `The server has ended this visit${why}. Apply the settings to come back.`;
}
