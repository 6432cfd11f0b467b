/**
 * Parts of a JSON text as they stand in it: what is read and written again would be another text, with other
 * blanks, without the digits that a double does not hold, and with one of two repeated keys.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The members of an object, by name, each value as it is written. A repeated name has its last value.
 *
 * @param text an object that JSON.parse takes
 */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = afterBlanks(text, afterBlanks(text, 0) + 1);
  while (text[at] !== "}") {
    const nameEnd = afterString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const start = afterBlanks(text, afterBlanks(text, nameEnd) + 1);
    const end = afterValue(text, start);
    members.set(name, text.slice(start, end));
    at = afterComma(text, end);
  }
  return members;
}

/**
 * The elements of a list, each as it is written.
 *
 * @param text a list that JSON.parse takes
 */
export function elementsOf(text: string): string[] {
  const elements: string[] = [];
  let at = afterBlanks(text, afterBlanks(text, 0) + 1);
  while (text[at] !== "]") {
    const end = afterValue(text, at);
    elements.push(text.slice(at, end));
    at = afterComma(text, end);
  }
  return elements;
}

/**
 * Whether objects and lists nest deeper than that anywhere in a text, which need not be JSON. What is parsed takes
 * some thirty times the memory of its brackets, so that this is asked before.
 */
export function nestsDeeper(text: string, depth: number): boolean {
  let open = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        do {
          if (text.charCodeAt(at) === BACKSLASH) at += 1;
          at += 1;
        } while (at < text.length && text.charCodeAt(at) !== QUOTE);
        break;
      case 0x5b:
      case 0x7b:
        open += 1;
        if (open > depth) return true;
        break;
      case 0x5d:
      case 0x7d:
        open -= 1;
    }
  }
  return false;
}

function afterComma(text: string, at: number): number {
  const next = afterBlanks(text, at);
  return text[next] === "," ? afterBlanks(text, next + 1) : next;
}

function afterBlanks(text: string, at: number): number {
  let next = at;
  while (" \t\r\n".includes(text[next] ?? "x")) next += 1;
  return next;
}

/** The place after a value. */
function afterValue(text: string, start: number): number {
  let at = start;
  let depth = 0;
  for (;;) {
    switch (text[at]) {
      case '"':
        at = afterString(text, at);
        break;
      case "{":
      case "[":
        depth += 1;
        at += 1;
        break;
      case "}":
      case "]":
        depth -= 1;
        at += 1;
        break;
      default:
        at += 1;
        if (depth === 0) return afterPlain(text, at);
    }
    if (depth === 0) return at;
  }
}

/** The place after a number, true, false or null, from inside it. */
function afterPlain(text: string, start: number): number {
  let at = start;
  while (at < text.length && !" \t\r\n,]}".includes(text[at] ?? "")) at += 1;
  return at;
}

function afterString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
