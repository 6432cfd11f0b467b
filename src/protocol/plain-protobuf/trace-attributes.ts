/** By which attributes an event is in a trace, read from its bytes without the rest of it. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { nextTag, tag } from "./reader.ts";

export interface EventTrace {
  traceparent?: string;
  tracestate?: string;
}

/**
 * The attributes `traceparent` and `tracestate` of an event as this server writes it. An event that cannot be read
 * counts as one without them.
 *
 * @example
 * traceAttributesOf(eventBytes(event)).traceparent; // "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
 */
export function traceAttributesOf(event: Uint8Array): EventTrace {
  const found: EventTrace = {};
  try {
    const reader = new BinaryReader(event);
    while (reader.pos < event.length) {
      const next = nextTag(reader);
      if (next === 0 || (next & 7) !== WireType.LengthDelimited) break;
      const end = reader.uint32() + reader.pos;
      if (next === ATTRIBUTES) readInto(found, reader, end);
      reader.pos = end;
    }
  } catch {
    // What is wrong with it is found where it is decoded.
  }
  return found;
}

const ATTRIBUTES = tag(5);
const NAME = tag(1);
const VALUE = tag(2);
const TEXT = tag(3);

function readInto(found: EventTrace, reader: BinaryReader, end: number): void {
  if (nextTag(reader) !== NAME) return;
  const name = reader.string();
  if ((name !== "traceparent" && name !== "tracestate") || reader.pos >= end) return;
  if (nextTag(reader) !== VALUE) return;
  reader.uint32();
  if (nextTag(reader) === TEXT) found[name] = reader.string();
}
