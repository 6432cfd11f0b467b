/**
 * JSON as people read it. Letter by letter, so that numbers keep all their digits, and that what is made ends where it
 * is cut, however deep it is.
 */

/** Levels that are indented; what lies deeper stands as far in as these. */
const MOST_INDENTED = 24;

/** Levels of what is taken for JSON; what is deeper is text, and never gets to a parser that may count on its stack. */
const MOST_DEEP = 1_000;

/** Whether a text is one JSON value, and one that people could read. */
export function isJson(text: string): boolean {
  if (isDeep(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether tables and lists of a text lie in each other deeper than may be. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at = token(text, at)) {
    const character = text[at] ?? "";
    if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    if (depth > MOST_DEEP) return true;
  }
  return false;
}

/**
 * Lays JSON out on lines.
 *
 * @param text one JSON value
 * @param most characters of the outcome, or a few more
 * @returns whether all of it is there
 * @example laidOut('{"a":[1,2]}', 1000).text // '{\n  "a": [\n    1,\n    2\n  ]\n}'
 */
export function laidOut(
  text: string,
  most: number,
): { readonly text: string; readonly whole: boolean } {
  let out = "";
  let depth = 0;
  const line = (): string => `\n${"  ".repeat(Math.min(depth, MOST_INDENTED))}`;
  for (let at = 0; at < text.length; ) {
    if (out.length > most) return { text: out, whole: false };
    const character = text[at] ?? "";
    const next = token(text, at);
    if (character === "{" || character === "[") {
      const end = afterSpace(text, at + 1);
      if (text[end] === "}" || text[end] === "]") {
        out += character + text[end];
        at = end + 1;
        continue;
      }
      depth += 1;
      out += character + line();
    } else if (character === "}" || character === "]") {
      depth -= 1;
      out += line() + character;
    } else if (character === ",") out += character + line();
    else if (character === ":") out += ": ";
    else if (!SPACE.includes(character)) out += text.slice(at, Math.min(next, at + most));
    at = next;
  }
  return { text: out, whole: true };
}

const SPACE = " \t\r\n";

/** Where what begins at a place ends: a string, a number or word, or one sign. */
function token(text: string, at: number): number {
  const character = text[at] ?? "";
  let end = at + 1;
  if (character === '"') {
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    return Math.min(end + 1, text.length);
  }
  if (!PLAIN.test(character)) return end;
  while (end < text.length && PLAIN.test(text[end] ?? "")) end += 1;
  return end;
}

const PLAIN = /[-+.\w]/;

function afterSpace(text: string, at: number): number {
  let end = at;
  while (SPACE.includes(text[end] ?? "x")) end += 1;
  return end;
}
