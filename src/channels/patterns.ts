/**
 * Patterns over channel names: `*` stands for exactly one word, `**` as the last word for zero or
 * more words.
 */
import { MessagingError } from "../protocol/errors.ts";
import { channelProblem, isPattern } from "./names.ts";

/**
 * Checks a pattern or a literal name.
 *
 * @throws MessagingError BAD_REQUEST for `**` before the last word, an empty name or word, a control
 * character, a lone surrogate, or more than 255 bytes of UTF-8.
 */
export function checkPattern(name: string): void {
  const problem = patternProblem(name);
  if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
}

/** What is wrong with a pattern or a literal name, or undefined. */
export function patternProblem(pattern: string): string | undefined {
  const words = pattern.split(".");
  if (words.slice(0, -1).includes("**")) return "only the last word may be **";
  // A literal of the same length.
  const literal = words
    .map((word) => (isWildcard(word) ? "x".repeat(word.length) : word))
    .join(".");
  return channelProblem(literal);
}

/** Whether a pattern, or a literal name, stands for a channel. */
export function matches(pattern: string, channel: string): boolean {
  if (!isPattern(pattern)) return pattern === channel;
  const wanted = readPattern(pattern);
  const words = channel.split(".");
  if (!hasLength(wanted, words.length)) return false;
  return wanted.words.every((word, index) => word === "*" || word === words[index]);
}

/** `matches` for one pattern and many channels: the pattern is taken apart once. */
export function matcherOf(pattern: string): (channel: string) => boolean {
  if (!isPattern(pattern)) return (channel) => channel === pattern;
  const { words, end } = readPattern(pattern);
  return (channel) => {
    let start = 0;
    for (let i = 0; i < words.length; i++) {
      // After the last word of the channel.
      if (start > channel.length) return false;
      const dot = channel.indexOf(".", start);
      const stop = dot < 0 ? channel.length : dot;
      const word = words[i] as string;
      const fits =
        word === "*" || (stop - start === word.length && channel.startsWith(word, start));
      if (!fits) return false;
      start = stop + 1;
    }
    return end === "open" || start > channel.length;
  };
}

/**
 * Whether a pattern stands for every channel that another stands for; either may be a literal name.
 * This is a question about words: that a channel has at most 255 bytes is not considered.
 *
 * @example
 * covers("chat.**", "chat.*.typing"); // true
 * covers("chat.*", "chat.**"); // false
 */
export function covers(wide: string, narrow: string): boolean {
  const [outer, inner] = [readPattern(wide), readPattern(narrow)];
  // Only an open one stands for channels of any length.
  if (inner.end === "open" && outer.end === "closed") return false;
  // Every channel has a word, so that `**` says no more than `*.**`.
  if (!hasLength(outer, Math.max(1, inner.words.length))) return false;
  return outer.words.every((word, index) => word === "*" || word === inner.words[index]);
}

/**
 * `covers` for several patterns together: whether each channel that `narrow` stands for is one of theirs.
 * `chat` and `chat.*.**` cover `chat.**` together, and neither does so by itself.
 */
export function coveredBy(wide: readonly string[], narrow: string): boolean {
  if (wide.some((one) => covers(one, narrow))) return true;
  const inner = readPattern(narrow);
  // There are more words than any patterns name: what `*` stands for is covered by a single `*`.
  if (inner.end === "closed") return false;
  const longest = Math.max(0, ...wide.map((one) => readPattern(one).words.length));
  const words = inner.words.length === 0 ? ["*"] : [...inner.words];
  // Channels of each length by themselves; longer ones are those of open patterns alone.
  for (; words.length <= longest; words.push("*")) {
    const closed = words.join(".");
    if (!wide.some((one) => covers(one, closed))) return false;
  }
  const longer = [...words, "**"].join(".");
  return wide.some((one) => covers(one, longer));
}

/**
 * Whether there is a channel that both patterns stand for; either may be a literal name. As with
 * `covers`, it may be one of more than 255 bytes.
 *
 * @example
 * overlaps("private.**", "*.room"); // true: private.room
 * overlaps("private.**", "chat.*"); // false
 */
export function overlaps(left: string, right: string): boolean {
  const [one, other] = [readPattern(left), readPattern(right)];
  if (one.end === "closed" && !hasLength(other, one.words.length)) return false;
  if (other.end === "closed" && !hasLength(one, other.words.length)) return false;
  return one.words.every((word, index) => {
    const against = other.words[index] ?? "*";
    return word === "*" || against === "*" || word === against;
  });
}

/** A pattern, or a literal name, taken apart. */
export interface PatternReading {
  /** Without the `**` at the end. */
  readonly words: readonly string[];
  /** `open` where the pattern ended with `**`, so that any number of words may follow. */
  readonly end: PatternEnd;
}

export type PatternEnd = "closed" | "open";

/**
 * Takes a pattern, or a name, apart, as it is: whether it is one `checkPattern` says.
 *
 * @example
 * readPattern("chat.*.**"); // { words: ["chat", "*"], end: "open" }
 */
export function readPattern(pattern: string): PatternReading {
  const words = pattern.split(".");
  if (words.at(-1) !== "**") return { words, end: "closed" };
  words.pop();
  return { words, end: "open" };
}

/** Whether a pattern stands for channels of so many words. */
function hasLength({ words, end }: PatternReading, count: number): boolean {
  return end === "open" ? count >= words.length : count === words.length;
}

function isWildcard(word: string): boolean {
  return word === "*" || word === "**";
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
