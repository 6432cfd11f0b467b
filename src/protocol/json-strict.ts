/**
 * What protobuf JSON does not allow and the runtime takes all the same, often for something else: 30
 * February for 2 March, `"0x10"` for 16. A value is looked at before the runtime reads it.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { parseTimestamp } from "./timestamps.ts";

/**
 * Looks at a member of an object or list.
 *
 * @throws Error for a value that is none of its type's
 */
type Check = (value: unknown, holder: Holder, key: string | number) => void;
type Holder = Record<string | number, unknown>;

const DECIMAL = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const WHOLE = /^-?(0|[1-9]\d*)$/;
const BASE64 = /^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)(={0,2})$/;
/** What RFC 3339 leaves open is settled here: capital letters, and no digit beyond nanoseconds. */
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;
const MAX_UINT64 = 18_446_744_073_709_551_615n;

/** The message that holds a client's clock. */
const FRAME = "messageloop.v1.InboundMessage";

/** By message; undefined for one in which nothing needs a look. */
const checks = new WeakMap<DescMessage, Check | undefined>();

/**
 * Looks at a JSON value before it is read as a message of this type. What is of the wrong kind altogether
 * is left to the runtime, which refuses it.
 *
 * @throws Error for what protobuf JSON does not allow
 */
export function checkJson(schema: DescMessage, value: unknown): void {
  messageCheck(schema)?.(value, {}, "");
}

/** Whether a text is base64, in either alphabet, with padding or without, and nothing else. */
export function isBase64(text: string): boolean {
  const padding = BASE64.exec(text)?.[1]?.length;
  const rest = text.length % 4;
  return padding !== undefined && (padding > 0 ? rest === 0 : rest !== 1);
}

/** Whether a value is a 64-bit number without a sign, in one of the forms that protobuf JSON has for it. */
function isUint64(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && value >= 0 && value < 2 ** 64;
  return typeof value === "string" && WHOLE.test(value) && isUint64Text(value);
}

function isUint64Text(text: string): boolean {
  return text.length <= 20 && !text.startsWith("-") && BigInt(text) <= MAX_UINT64;
}

function messageCheck(schema: DescMessage): Check | undefined {
  if (checks.has(schema)) return checks.get(schema);
  const known = wellKnownCheck(schema.typeName);
  if (known !== undefined || schema.typeName.startsWith("google.protobuf.")) {
    checks.set(schema, known);
    return known;
  }
  const byKey = new Map<string, Check>();
  // Before its fields, for messages that hold each other; all of it is looked at in any case.
  const clock = schema.typeName === FRAME;
  const check: Check = (value) => {
    if (!isObject(value)) return;
    // A client's clock is not read, so no form of it is a reason to refuse.
    if (clock && value["time"] !== undefined && !isUint64(value["time"])) delete value["time"];
    for (const key of Object.keys(value)) byKey.get(key)?.(value[key], value, key);
  };
  checks.set(schema, check);
  for (const field of schema.fields) {
    const ofField = fieldCheck(field);
    if (ofField !== undefined) byKey.set(field.name, ofField).set(field.jsonName, ofField);
  }
  if (byKey.size > 0) return check;
  checks.set(schema, undefined);
  return undefined;
}

function fieldCheck(field: DescField): Check | undefined {
  const one = field.message === undefined ? scalarCheck(field.scalar) : messageCheck(field.message);
  if (one === undefined) return undefined;
  if (field.fieldKind === "list") {
    return (value) => {
      if (!Array.isArray(value)) return;
      for (let i = 0; i < value.length; i++) one(value[i], value as unknown as Holder, i);
    };
  }
  if (field.fieldKind === "map") {
    return (value) => {
      if (isObject(value)) for (const key of Object.keys(value)) one(value[key], value, key);
    };
  }
  return one;
}

function scalarCheck(scalar: ScalarType | undefined): Check | undefined {
  switch (scalar) {
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return textCheck(DECIMAL);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return textCheck(WHOLE);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return checkUint64;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return textCheck(/^(?:-?Infinity|NaN|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/);
    case ScalarType.BYTES:
      return checkBase64;
    default:
      return undefined;
  }
}

/** Numbers may be texts, in the same form as without quotes. */
function textCheck(form: RegExp): Check {
  return (value) => {
    if (typeof value === "string" && !form.test(value))
      throw new Error("a number has no such form");
  };
}

const checkWhole = textCheck(WHOLE);

/** The largest number that a client can write is read as one more than there may be: it becomes a text. */
function checkUint64(value: unknown, holder: Holder, key: string | number): void {
  if (value === 2 ** 64) holder[key] = `${MAX_UINT64}`;
  else checkWhole(value, holder, key);
}

function checkBase64(value: unknown): void {
  if (typeof value === "string" && !isBase64(value)) throw new Error("bytes are not base64");
}

function wellKnownCheck(typeName: string): Check | undefined {
  switch (typeName) {
    case "google.protobuf.Timestamp":
      return checkTimestamp;
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
      return checkFinite;
    default:
      return undefined;
  }
}

function checkTimestamp(value: unknown): void {
  if (typeof value !== "string") return;
  if (!TIMESTAMP.test(value)) throw new Error("a timestamp has no such form");
  if (parseTimestamp(value) === undefined) {
    throw new Error("a timestamp is of a time that does not exist");
  }
}

/** A number that is too large for a double is infinite, and JSON has no form for that. */
function checkFinite(value: unknown): void {
  const open = [value];
  for (let next = open.pop(); next !== undefined || open.length > 0; next = open.pop()) {
    if (typeof next === "number" && !Number.isFinite(next)) throw new Error("a number is infinite");
    if (typeof next !== "object" || next === null) continue;
    for (const member of Object.values(next)) open.push(member);
  }
}

/** Whether a value out of JSON is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
