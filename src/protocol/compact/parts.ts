/** The bytes of an event, divided into what events of one publisher share and what they do not. */
import { eventBytes, eventOf } from "../plain-protobuf/event.ts";

/** Runs of fields of an event, each with their tags; empty where there are none. */
export interface EventParts {
  readonly id: Uint8Array;
  /** Source, spec version and type. */
  readonly origin: Uint8Array;
  readonly attributes: Uint8Array;
  /** How many attributes there are. */
  readonly count: number;
  readonly data: Uint8Array;
}

const ID = 1;
const TYPE = 4;
const ATTRIBUTES = 5;
const PROTO_DATA = 8;
/** Of the name in the entry of a map. */
const NAME_TAG = 0x0a;
const MOST_NAME_BYTES = 32;

/**
 * The parts of an event's bytes.
 *
 * @throws Error for what is no event
 * @example
 * partsOf(eventBytes(create(CloudEventSchema, { id: "1", source: "/s" }))).origin; // 12 02 2f 73
 */
export function partsOf(event: Uint8Array): EventParts {
  const parts = divided(event);
  if (parts !== undefined) return parts;
  const { $unknown: _, ...known } = eventOf(event);
  return divided(eventBytes(known)) as EventParts;
}

/** Undefined where fields are unknown, stand in another order than that of their numbers, or are there twice. */
function divided(bytes: Uint8Array): EventParts | undefined {
  let [idEnd, originEnd, attributesEnd, count] = [0, 0, 0, 0];
  let last = 0;
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] as number;
    const field = tag >>> 3;
    const isNext = field > last && last <= ATTRIBUTES;
    if (!isNext && !(field === ATTRIBUTES && last === ATTRIBUTES)) return undefined;
    if ((tag & 7) !== 2 || field > PROTO_DATA) return undefined;
    const end = endOf(bytes, at + 1);
    if (end > bytes.length) return undefined;
    at = end;
    last = field;
    if (field <= ID) idEnd = at;
    if (field <= TYPE) originEnd = at;
    if (field <= ATTRIBUTES) attributesEnd = at;
    if (field === ATTRIBUTES) count += 1;
  }
  return {
    id: bytes.subarray(0, idEnd),
    origin: bytes.subarray(idEnd, originEnd),
    attributes: bytes.subarray(originEnd, attributesEnd),
    count,
    data: bytes.subarray(attributesEnd),
  };
}

/** Each field of a run of them. */
export function fieldsOf(run: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  for (let at = 0; at < run.length; ) {
    const end = endOf(run, at + 1);
    fields.push(run.subarray(at, end));
    at = end;
  }
  return fields;
}

/** The name of an attribute, out of its field; empty where it is long, or does not stand first. */
export function nameOf(field: Uint8Array): string {
  let at = 1;
  while ((field[at] ?? 0) >= 0x80) at += 1;
  const length = field[at + 2] ?? 0;
  if (field[at + 1] !== NAME_TAG || length > MOST_NAME_BYTES) return "";
  return String.fromCharCode(...field.subarray(at + 3, at + 3 + length));
}

/** Where a field ends that says how long it is, beyond all bytes where that is no length. */
function endOf(bytes: Uint8Array, start: number): number {
  let at = start;
  let length = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[at++] ?? 0x80;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return at + length;
  }
  return Number.POSITIVE_INFINITY;
}

/** Whether two runs of bytes are the same. */
export function same(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}
