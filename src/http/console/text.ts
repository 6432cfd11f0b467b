/** Hostile text made fit to be shown: what cannot be seen is spelled out, and what is too long is cut. */

/** What is shown of one text, in bytes of UTF-8. */
export const MAX_SHOWN_BYTES = 64 * 1024;

/**
 * Controls, format characters such as those that turn the direction of text, lone surrogates, private use, separators of
 * lines and fillers that look like nothing. What joins the parts of one picture stands first, and stays.
 */
const UNSEEN =
  /((?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\uFE0F)\u200D(?=\p{Extended_Pictographic}))|\p{Cc}|\p{Cf}|\p{Cs}|\p{Co}|\p{Zl}|\p{Zp}|\u034F|\u115F|\u1160|\u17B4|\u17B5|\u3164|\uFFA0/gu;

/**
 * A text on one line, such as a name.
 *
 * @example visible("a\u202Eb") // "a⟦U+202E⟧b"
 */
export function visible(text: string): string {
  return text.replace(UNSEEN, (found, joiner?: string) => joiner ?? spelled(found));
}

/** A text of several lines: their ends, and tabs, stay what they are. */
export function visibleLines(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .split(/([\n\t])/)
    .map((part, i) => (i % 2 === 1 ? part : visible(part)))
    .join("");
}

function spelled(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `⟦U+${code}⟧`;
}

/** What is shown of a text. */
export interface Cut {
  readonly text: string;
  /** Bytes of UTF-8 that are left out. */
  readonly left: number;
}

/** The first bytes of a text, whole characters of them. */
export function cut(text: string, most = MAX_SHOWN_BYTES): Cut {
  // Each unit is at least a byte.
  if (text.length * 3 <= most) return { text, left: 0 };
  const { read } = encoder.encodeInto(text, new Uint8Array(most));
  if (read === text.length) return { text, left: 0 };
  return { text: text.slice(0, read), left: encoder.encode(text.slice(read)).length };
}

const encoder = new TextEncoder();

/** Bytes as people read them. */
export function bytesText(count: number): string {
  if (count < 1_024) return `${count} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [count / 1_024, 0];
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A count as people read it, such as `12,345`. */
export function countText(count: number): string {
  return count.toLocaleString("en");
}

/** How often something happens. */
export function rateText(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  if (perSecond < 10) return `${perSecond.toFixed(1)}/s`;
  return `${countText(Math.round(perSecond))}/s`;
}
