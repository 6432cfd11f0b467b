/**
 * The internal envelopes that carry a channel's entries, written by hand: the channel stores an
 * entry's body as bytes and splices them, it never decodes what it only passes on. The layout is
 * that of `messageloop.internal.v1`; a test holds both against each other.
 */
import { toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, UINT32_MAX, WireType } from "@bufbuild/protobuf/wire";
import type { LogRow } from "../../channels/log-store.ts";
import type { PresenceChange } from "../../channels/presence.ts";
import type { Position } from "../../engine/ports/broker.ts";
import { errorMessage, type MessagingError } from "../../protocol/errors.ts";
import type { PublishItem } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { ErrorSchema } from "../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import { written } from "../../protocol/plain-protobuf/writer.ts";

/** A log row as a `messageloop.internal.v1.Entry`. */
export function encodeEntry(row: LogRow): Uint8Array {
  return written((writer) => {
    writeCount(writer.tag(1, WireType.Varint), row.offset);
    writer.tag(2, WireType.Varint).uint64(row.time);
    writer.tag(3, WireType.LengthDelimited).bytes(row.body);
  });
}

/**
 * Publishes of a gateway in a region as a `messageloop.internal.v1.PublishRequest`.
 *
 * @param registration the gateway's, where the answer may carry what it has to be given, else empty
 */
export function encodePublishes(
  items: readonly PublishItem[],
  region: string,
  registration: string,
): Uint8Array {
  return written((writer) => {
    for (const { key, body, transient } of items) {
      writer.tag(1, WireType.LengthDelimited).fork();
      if (key !== "") writer.tag(1, WireType.LengthDelimited).string(key);
      if (body.length > 0) writer.tag(2, WireType.LengthDelimited).bytes(body);
      if (transient) writer.tag(3, WireType.Varint).bool(true);
      writer.join();
    }
    if (region !== "") writer.tag(2, WireType.LengthDelimited).string(region);
    if (registration !== "") writer.tag(3, WireType.LengthDelimited).string(registration);
  });
}

/** What became of a publish; a message outside of the log has no offset. */
export interface Published {
  readonly offset: number;
  readonly duplicate: boolean;
}

/**
 * The answer to publishes as a `messageloop.internal.v1.PublishResponse`.
 *
 * @param delivery a DeliverRequest for the gateway that has published
 */
export function encodePublished(
  epoch: string,
  results: readonly (Published | MessagingError)[],
  delivery: Uint8Array | undefined,
): Uint8Array {
  const errors = results.map((result) =>
    result instanceof Error ? toBinary(ErrorSchema, errorMessage(result)) : undefined,
  );
  return written((writer) => {
    if (epoch !== "") writer.tag(1, WireType.LengthDelimited).string(epoch);
    for (const [index, result] of results.entries()) {
      writer.tag(2, WireType.LengthDelimited).fork();
      const error = errors[index];
      if (error !== undefined) writer.tag(3, WireType.LengthDelimited).bytes(error);
      if (!(result instanceof Error)) {
        if (result.offset > 0) writeCount(writer.tag(1, WireType.Varint), result.offset);
        if (result.duplicate) writer.tag(2, WireType.Varint).bool(true);
      }
      writer.join();
    }
    if (delivery !== undefined) writer.tag(3, WireType.LengthDelimited).bytes(delivery);
  });
}

/** A number that is nearly always small: for others the runtime needs a BigInt. */
function writeCount(writer: BinaryWriter, value: number): void {
  if (value <= UINT32_MAX) writer.uint32(value);
  else writer.uint64(value);
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
  const { channel, registration, epoch, prev, undeliveredTime } = delivery;
  return written((writer) => {
    writer.tag(1, WireType.LengthDelimited).string(channel);
    writer.tag(2, WireType.LengthDelimited).string(registration);
    writer.tag(3, WireType.LengthDelimited).string(epoch);
    if (prev !== 0) writeCount(writer.tag(4, WireType.Varint), prev);
    for (const entry of delivery.entries) writer.tag(5, WireType.LengthDelimited).bytes(entry);
    for (const change of delivery.presence) writer.tag(6, WireType.LengthDelimited).bytes(change);
    if (delivery.presenceLost) writer.tag(7, WireType.Varint).bool(true);
    if (undeliveredTime !== 0) writer.tag(8, WireType.Varint).uint64(undeliveredTime);
    for (const one of delivery.transients) writer.tag(9, WireType.LengthDelimited).bytes(one);
  });
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
