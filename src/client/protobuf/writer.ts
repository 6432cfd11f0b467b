/** Writes plain objects as protobuf. */
import { SHAPES } from "./schema.ts";
import { timestampParts } from "./timestamps.ts";

type Bag = Readonly<Record<string, unknown>>;

const utf8 = new TextEncoder();

/**
 * A message of a shape. Members without a field in it are left out.
 *
 * @throws TypeError for a timestamp that is none
 */
export function write(value: object, shape: string): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.message(value as Bag, shape);
  return writer.bytes();
}

class Writer {
  #buffer = new Uint8Array(256);
  #at = 0;

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#at);
  }

  message(value: Bag, name: string): void {
    const shape = SHAPES.get(name);
    for (const key in value) {
      const field = shape?.get(key);
      const member = value[key];
      if (field === undefined || member === undefined) continue;
      const { number, many, type } = field;
      if (many === "*") for (const one of member as unknown[]) this.#field(number, type, one);
      else if (many === "%") {
        const map = member as Bag;
        for (const name in map) {
          this.#delimited(number, () => {
            this.#field(1, "s", name);
            this.#field(2, type, map[name]);
          });
        }
      } else this.#field(number, type, member);
    }
  }

  #field(number: number, type: string, value: unknown): void {
    switch (type) {
      case "s":
        this.#chunk(number, utf8.encode(String(value)));
        break;
      case "b":
        this.#chunk(number, value as Uint8Array);
        break;
      case "t":
      case "u":
      case "i":
        this.#integer(number * 8);
        this.#integer(Number(value));
        break;
      case "T":
        this.#delimited(number, () => {
          const [seconds, nanos] = timestampParts(String(value));
          this.#field(1, "i", seconds);
          this.#field(2, "i", nanos);
        });
        break;
      case "S":
        this.#delimited(number, () => this.#struct(value as Bag));
        break;
      default:
        this.#delimited(number, () => this.message(value as Bag, type));
    }
  }

  #struct(value: Bag): void {
    for (const name of Object.keys(value)) {
      this.#delimited(1, () => {
        this.#field(1, "s", name);
        this.#delimited(2, () => this.#any(value[name]));
      });
    }
  }

  #any(value: unknown): void {
    if (typeof value === "number") {
      this.#integer(0x11);
      this.#room(8);
      new DataView(this.#buffer.buffer).setFloat64(this.#at, value, true);
      this.#at += 8;
    } else if (typeof value === "string") this.#field(3, "s", value);
    else if (typeof value === "boolean") this.#field(4, "t", value);
    else if (Array.isArray(value)) {
      this.#delimited(6, () => {
        for (const one of value) this.#delimited(1, () => this.#any(one));
      });
    } else if (typeof value === "object" && value !== null) this.#field(5, "S", value);
    else this.#field(1, "u", 0);
  }

  /** What comes with its length, which is known only behind it. */
  #delimited(number: number, content: () => void): void {
    this.#integer(number * 8 + 2);
    const start = this.#at;
    content();
    const end = this.#at;
    this.#at = start;
    // Written where it belongs, over the content, only after that was moved out of the way.
    const length = end - start;
    const prefix = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 5;
    this.#room(length + prefix);
    this.#buffer.copyWithin(start + prefix, start, end);
    this.#integer(length);
    // A length of five bytes may have been written in four.
    if (this.#at !== start + prefix)
      this.#buffer.copyWithin(this.#at, start + prefix, end + prefix);
    this.#at += length;
  }

  #chunk(number: number, bytes: Uint8Array): void {
    this.#integer(number * 8 + 2);
    this.#integer(bytes.length);
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #integer(value: number): void {
    this.#room(10);
    for (let i = 0; i < 9 && (value > 0x7f || value < 0); i++) {
      const rest = Math.floor(value / 0x80);
      this.#buffer[this.#at++] = value - rest * 0x80 + 0x80;
      value = rest;
    }
    // The sign of a negative one is the 64th bit.
    this.#buffer[this.#at++] = value < 0 ? 1 : value;
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(needed * 2);
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}
