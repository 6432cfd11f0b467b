/** Patterns of channels: `*` stands for one word, and `**` at the end for any number of words. */

/**
 * Whether a name is meant as a pattern. The server says whether it is a right one.
 *
 * @example
 * isPattern("chat.*"); // true
 * isPattern("chat.a*"); // false: a star is a wildcard only as a word
 */
export function isPattern(name: string): boolean {
  return /(^|\.)\*\*?(\.|$)/.test(name);
}

/** Whether a pattern, or a name, stands for a channel. */
export function stands(pattern: string, channel: string): boolean {
  const parts = pattern.split(".");
  const rest = parts.at(-1) === "**" && parts.pop();
  const words = channel.split(".", rest ? parts.length : undefined);
  return (
    words.length === parts.length && parts.every((part, i) => part === "*" || part === words[i])
  );
}
