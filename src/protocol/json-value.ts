/**
 * JSON values that applications hand over, which no parser has made: what is wrong with them, before
 * anything tries to encode them.
 */
import { utf8Length } from "./lean/utf8-length.ts";

export interface JsonBounds {
  /** How deep objects and lists may nest, the outermost counted. */
  readonly depth: number;
  /** Bytes of UTF-8 of all texts and names together; every other value counts as eight. */
  readonly bytes: number;
}

/** What takes part in the size beside texts, in bytes. */
const VALUE_BYTES = 8;

/**
 * What keeps an object from being written as JSON and as a `google.protobuf.Struct`, with the place of
 * it, such as `metadata.list[2]: is not a finite number`; undefined where nothing does. Takes no more
 * time than its bounds allow, and holds for what refers to itself as well.
 *
 * @param name stands before the places inside
 */
export function jsonProblem(value: unknown, name: string, bounds: JsonBounds): string | undefined {
  if (!isPlainObject(value)) return `${name}: is not an object`;
  return problemOf(value, name, bounds.depth, { bytes: bounds.bytes });
}

function problemOf(
  value: unknown,
  path: string,
  depth: number,
  left: { bytes: number },
): string | undefined {
  left.bytes -= typeof value === "string" ? utf8Length(value) : VALUE_BYTES;
  if (left.bytes < 0) return `${path}: is too much`;
  switch (typeof value) {
    case "boolean":
      return undefined;
    case "string":
      return value.isWellFormed() ? undefined : `${path}: is not valid Unicode`;
    case "number":
      return Number.isFinite(value) ? undefined : `${path}: is not a finite number`;
    case "object":
      break;
    default:
      return `${path}: is of the type ${typeof value}`;
  }
  if (value === null) return undefined;
  if (!Array.isArray(value) && !isPlainObject(value)) return `${path}: is no plain object`;
  if (depth === 0) return `${path}: nests too deep`;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const problem = problemOf(value[i], `${path}[${i}]`, depth - 1, left);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  for (const [key, member] of Object.entries(value)) {
    left.bytes -= utf8Length(key);
    if (!key.isWellFormed()) return `${path}: a name is not valid Unicode`;
    const problem = problemOf(member, `${path}.${key.slice(0, 64)}`, depth - 1, left);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object of another realm has another Object, which has no prototype either.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
