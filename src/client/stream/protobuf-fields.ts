/** Fields of a protobuf message without its schema, so that JSON streams load no codec. */

/** An integer, or the bytes of everything else. */
export type FieldValue = number | Uint8Array;
export type Fields = readonly (readonly [number: number, value: FieldValue])[];

/** @throws RangeError for bytes that are no message */
export function fieldsOf(bytes: Uint8Array): Fields {
  const fields: (readonly [number, FieldValue])[] = [];
  let at = 0;
  const integer = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("a message is cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  const lengthBy = (wire: number): number => {
    if (wire === 1) return 8;
    if (wire === 2) return integer();
    if (wire === 5) return 4;
    throw new RangeError(`wire type ${wire}`);
  };
  while (at < bytes.length) {
    const tag = integer();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) {
      fields.push([number, integer()]);
      continue;
    }
    const length = lengthBy(wire);
    const value = bytes.subarray(at, at + length);
    at += length;
    if (value.length < length) throw new RangeError("a message is cut short");
    fields.push([number, value]);
  }
  return fields;
}

/** The last field of a number, which is the one that counts. */
export function fieldOf(fields: Fields, number: number): FieldValue | undefined {
  return fields.findLast(([one]) => one === number)?.[1];
}

/** What stands before a value that comes with its length. */
export function lengthPrefix(number: number, length: number): Uint8Array {
  return Uint8Array.of(...integer(number * 8 + 2), ...integer(length));
}

export function integerField(number: number, value: number): Uint8Array {
  return Uint8Array.of(...integer(number * 8), ...integer(value));
}

function integer(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  bytes.push(rest);
  return bytes;
}
