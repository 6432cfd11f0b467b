/** Reads protobuf into plain objects. */
import { exact } from "../wire/values.ts";
import { plainEvent } from "./plain-event.ts";
import { FIELDS, type Field, type Fields, type Memory } from "./schema.ts";
import { timestampText } from "./timestamps.ts";

type Bag = Record<string, unknown>;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Texts beyond it are not remembered, in bytes. */
const SHORT = 64;
/** Names in maps and documents. */
const NAMES: Memory = { last: "" };

/** An object without anything that every object has, which a name could be of; faster than one without a prototype. */
const Names = function Names() {} as unknown as new () => Bag;
Names.prototype = Object.create(null);

/**
 * A message of a shape.
 *
 * @throws RangeError for bytes that are none, and for an integer beyond 2^53 - 1
 */
export function read(bytes: Uint8Array, shape: string): Bag {
  return new Reader(bytes).message(FIELDS.get(shape) ?? [], bytes.length);
}

class Reader {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(fields: Fields, end: number): Bag {
    const value: Bag = {};
    while (this.#at < end) {
      const tag = this.#integer();
      const field = fields[tag >>> 3];
      if (field === undefined || (tag & 7) !== field.wire) this.#skip(tag & 7);
      else if (field.many === "") value[field.name] = this.#value(field);
      else if (field.many === "*") {
        const list = value[field.name] as unknown[] | undefined;
        const member = this.#value(field);
        if (list === undefined) value[field.name] = [member];
        else list.push(member);
      } else this.#entry(value, field);
    }
    if (this.#at > end) throw new RangeError("a message is cut short");
    return value["proto_data"] ? { ...plainEvent(value) } : value;
  }

  #entry(value: Bag, field: Field): void {
    const { name, type } = field;
    const end = this.#end();
    let key = "";
    let member: unknown = type === "s" ? "" : {};
    while (this.#at < end) {
      const tag = this.#integer();
      if (tag === 0x0a) key = this.#text(NAMES);
      else if (tag === 0x12) member = this.#value(field);
      else this.#skip(tag & 7);
    }
    value[name] ??= new Names();
    (value[name] as Bag)[key] = member;
  }

  #value(field: Field): unknown {
    switch (field.type) {
      case "s":
        return this.#text(field);
      case "b":
        return this.#chunk().slice();
      case "t":
        return this.#integer() !== 0;
      case "u":
        return exact(this.#integer());
      case "i":
        return this.#integer(true);
      case "T":
        return this.#timestamp();
      case "S":
        return this.#struct();
      case "V":
        return this.#any();
      default:
        return this.message(field.fields, this.#end());
    }
  }

  #integer(signed = false): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++] ?? 0;
    if (byte < 0x80) return byte;
    let low = byte & 0x7f;
    /** What stands above the lowest 28 bits. */
    let high = 0;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (shift > 63) throw new RangeError("an integer has no end");
      byte = bytes[this.#at++] ?? 0;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else high += (byte & 0x7f) * 2 ** (shift - 28);
    }
    if (signed && high >= 2 ** 35) high -= 2 ** 36;
    return low + high * 2 ** 28;
  }

  /** Where what comes with a length ends. */
  #end(): number {
    const length = this.#integer();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("a message is cut short");
    return end;
  }

  #chunk(): Uint8Array {
    const end = this.#end();
    const chunk = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return chunk;
  }

  /** Most texts of a field are the one before, and comparing takes less time than decoding. */
  #text(memory: Memory): string {
    const end = this.#end();
    const start = this.#at;
    const { last } = memory;
    this.#at = end;
    let equal = end - start === last.length;
    for (let i = start; equal && i < end; i++)
      equal = this.#bytes[i] === last.charCodeAt(i - start);
    if (equal) return last;
    const text = utf8.decode(this.#bytes.subarray(start, end));
    // ASCII alone has as many bytes as units, and they are the same.
    if (text.length === end - start && text.length <= SHORT) memory.last = text;
    return text;
  }

  #timestamp(): string {
    const end = this.#end();
    let [seconds, nanos] = [0, 0];
    while (this.#at < end) {
      const tag = this.#integer();
      if (tag === 0x08) seconds = this.#integer(true);
      else if (tag === 0x10) nanos = this.#integer(true);
      else this.#skip(tag & 7);
    }
    return timestampText(seconds, nanos);
  }

  /** `google.protobuf.Struct`, which is a map from text to values. */
  #struct(): Bag {
    const end = this.#end();
    const value: Bag = {};
    while (this.#at < end) {
      if (this.#integer() !== 0x0a) throw new RangeError("a Struct has an unknown field");
      const entryEnd = this.#end();
      let key = "";
      let member: unknown = null;
      while (this.#at < entryEnd) {
        const tag = this.#integer();
        if (tag === 0x0a) key = this.#text(NAMES);
        else if (tag === 0x12) member = this.#any();
        else this.#skip(tag & 7);
      }
      Object.defineProperty(value, key, { value: member, enumerable: true });
    }
    return value;
  }

  /** `google.protobuf.Value`. */
  #any(): unknown {
    const end = this.#end();
    let value: unknown = null;
    while (this.#at < end) {
      const tag = this.#integer();
      if (tag === 0x11) {
        const { buffer, byteOffset } = this.#bytes;
        value = new DataView(buffer, byteOffset + this.#at, 8).getFloat64(0, true);
        this.#at += 8;
      } else if (tag === 0x1a) value = this.#text(NAMES);
      else if (tag === 0x20) value = this.#integer() !== 0;
      else if (tag === 0x2a) value = this.#struct();
      else if (tag === 0x32) value = this.#list();
      else this.#skip(tag & 7);
    }
    return value;
  }

  #list(): unknown[] {
    const end = this.#end();
    const list: unknown[] = [];
    while (this.#at < end) {
      if (this.#integer() !== 0x0a) throw new RangeError("a list has an unknown field");
      list.push(this.#any());
    }
    return list;
  }

  #skip(wire: number): void {
    if (wire === 0) this.#integer();
    else if (wire === 1) this.#at += 8;
    else if (wire === 2) this.#at = this.#end();
    else if (wire === 5) this.#at += 4;
    else throw new RangeError(`wire type ${wire}`);
  }
}
