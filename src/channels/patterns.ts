/**
 * Patterns over channel names: `*` stands for exactly one word, `**` as the last word for zero or
 * more words.
 */
import { channelProblem, isPattern } from "./names.ts";

/** What is wrong with a pattern or a literal name, or undefined. */
export function patternProblem(pattern: string): string | undefined {
  const words = pattern.split(".");
  if (words.slice(0, -1).includes("**")) return "only the last word may be **";
  const literal = words.map((word) => (word === "*" || word === "**" ? "x" : word)).join(".");
  return channelProblem(literal);
}

/** Whether a pattern, or a literal name, stands for a channel. */
export function matches(pattern: string, channel: string): boolean {
  if (!isPattern(pattern)) return pattern === channel;
  const wanted = pattern.split(".");
  const open = wanted.at(-1) === "**";
  if (open) wanted.pop();
  const words = channel.split(".");
  if (open ? words.length < wanted.length : words.length !== wanted.length) return false;
  return wanted.every((word, index) => word === "*" || word === words[index]);
}

/**
 * Orders patterns that stand for the same channel by how much they say about it: word for word a
 * literal says more than `*`, and `*` more than `**`. Negative when `left` says more.
 */
export function bySpecificity(left: string, right: string): number {
  const [a, b] = [left.split("."), right.split(".")];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = vagueness(a[i]) - vagueness(b[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function vagueness(word: string | undefined): number {
  if (word === "**") return 3;
  // Where one pattern ends, the other can only go on with `**`, which says less than the end.
  if (word === undefined) return 2;
  return word === "*" ? 1 : 0;
}
