/**
 * The internal envelopes that carry a channel's entries, written by hand: the channel stores an
 * entry's body as bytes and splices them, it never decodes what it only passes on. The layout is
 * that of `messageloop.internal.v1`; a test holds both against each other.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { LogRow } from "../../channels/log-store.ts";
import type { PresenceChange } from "../../channels/presence.ts";
import type { Position } from "../../engine/ports/broker.ts";
import type { PublishItem } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";

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

/** Publishes of a gateway in a region as a `messageloop.internal.v1.PublishRequest`. */
export function encodePublishes(items: readonly PublishItem[], region: string): Uint8Array {
  const writer = new BinaryWriter();
  for (const { key, body, transient } of items) {
    writer.tag(1, WireType.LengthDelimited).fork();
    if (key !== "") writer.tag(1, WireType.LengthDelimited).string(key);
    if (body.length > 0) writer.tag(2, WireType.LengthDelimited).bytes(body);
    if (transient) writer.tag(3, WireType.Varint).bool(true);
    writer.join();
  }
  if (region !== "") writer.tag(2, WireType.LengthDelimited).string(region);
  return writer.finish();
}

/** A join or a leave as a `messageloop.internal.v1.PresenceChange`. */
export function encodePresenceChange({ member, joined, generation }: PresenceChange): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  if (member.userId !== "") writer.tag(1, WireType.LengthDelimited).string(member.userId);
  if (member.clientId !== "") writer.tag(2, WireType.LengthDelimited).string(member.clientId);
  if (member.sessionId !== "") writer.tag(3, WireType.LengthDelimited).string(member.sessionId);
  writer.tag(4, WireType.Varint).uint64(member.time).join();
  if (joined) writer.tag(2, WireType.Varint).bool(true);
  return writer.tag(3, WireType.Varint).uint64(generation).finish();
}

/** A message outside of the log as a `messageloop.internal.v1.Transient`. */
export function encodeTransient(id: string, time: number, body: Uint8Array): Uint8Array {
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(id)
    .tag(2, WireType.Varint)
    .uint64(time)
    .tag(3, WireType.LengthDelimited)
    .bytes(body)
    .finish();
}

export interface Delivery {
  readonly channel: string;
  readonly registration: string;
  readonly epoch: string;
  /** Offset before the first entry, as far as the channel knows this gateway. */
  readonly prev: number;
  /** Encoded entries, dense and ascending. */
  readonly entries: readonly Uint8Array[];
  /** Encoded presence changes, in the order of their generations. */
  readonly presence: readonly Uint8Array[];
  readonly presenceLost: boolean;
  /** Of the newest entry up to `prev` that an earlier life may not have delivered, Unix milliseconds; or 0. */
  readonly undeliveredTime: number;
  /** Encoded messages outside of the log. */
  readonly transients: readonly Uint8Array[];
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
  for (const change of delivery.presence) writer.tag(6, WireType.LengthDelimited).bytes(change);
  if (delivery.presenceLost) writer.tag(7, WireType.Varint).bool(true);
  if (delivery.undeliveredTime !== 0) {
    writer.tag(8, WireType.Varint).uint64(delivery.undeliveredTime);
  }
  for (const message of delivery.transients) writer.tag(9, WireType.LengthDelimited).bytes(message);
  return writer.finish();
}

/** A `messageloop.internal.v1.ReadResponse`. */
export function encodeReadResponse(epoch: string, entries: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(epoch);
  for (const entry of entries) writer.tag(2, WireType.LengthDelimited).bytes(entry);
  return writer.finish();
}

export interface History {
  /** Head of the log. */
  readonly position: Position;
  readonly first: number;
  /** Empty when nothing came before the first. */
  readonly reason: string;
  /** Encoded entries. */
  readonly entries: readonly Uint8Array[];
  readonly more: boolean;
}

/** A `messageloop.internal.v1.HistoryResponse`. */
export function encodeHistory({ position, first, reason, entries, more }: History): Uint8Array {
  const writer = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .fork()
    .tag(1, WireType.LengthDelimited)
    .string(position.epoch);
  if (position.offset !== 0) writer.tag(2, WireType.Varint).uint64(position.offset);
  writer.join().tag(2, WireType.Varint).uint64(first);
  if (reason !== "") writer.tag(3, WireType.LengthDelimited).string(reason);
  for (const entry of entries) writer.tag(4, WireType.LengthDelimited).bytes(entry);
  if (more) writer.tag(5, WireType.Varint).bool(true);
  return writer.finish();
}
