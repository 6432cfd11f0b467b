/**
 * The internal envelopes that carry a channel's entries, written by hand: the channel stores an
 * entry's body as bytes and splices them, it never decodes what it only passes on. The layout is
 * that of `messageloop.internal.v1`; a test holds both against each other.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { LogRow } from "../channels/log-store.ts";

/** A log row as a `messageloop.internal.v1.Entry`. */
export function encodeEntry(row: LogRow): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .uint64(row.offset)
    .tag(2, WireType.Varint)
    .uint64(row.time)
    .tag(3, WireType.LengthDelimited)
    .bytes(row.body)
    .finish();
}

export interface Delivery {
  readonly channel: string;
  readonly registration: string;
  readonly epoch: string;
  readonly prev: number;
  /** Encoded entries, dense and ascending. */
  readonly entries: readonly Uint8Array[];
}

/** A `messageloop.internal.v1.DeliverRequest`. */
export function encodeDelivery(delivery: Delivery): Uint8Array {
  const writer = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(delivery.channel)
    .tag(2, WireType.LengthDelimited)
    .string(delivery.registration)
    .tag(3, WireType.LengthDelimited)
    .string(delivery.epoch);
  if (delivery.prev !== 0) writer.tag(4, WireType.Varint).uint64(delivery.prev);
  for (const entry of delivery.entries) writer.tag(5, WireType.LengthDelimited).bytes(entry);
  return writer.finish();
}

/** A `messageloop.internal.v1.ReadResponse`. */
export function encodeReadResponse(epoch: string, entries: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(epoch);
  for (const entry of entries) writer.tag(2, WireType.LengthDelimited).bytes(entry);
  return writer.finish();
}
