/**
 * How a session begins, in protobuf without the runtime: connect and subscribe, and their answers. What is seldom in
 * them is left to the runtime.
 */
import { type BinaryReader, type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type {
  Connect,
  Connected,
  StreamPosition,
  Subscribe,
  Subscription,
} from "../gen/messageloop/v1/service_pb.js";
import { blankConnect, blankSubscription } from "../plain-json/blank.ts";
import { isAnswer } from "../plain-json/sessions.ts";
import { nextTag, tag } from "./event.ts";
import { writeText, writeUint64 } from "./writer.ts";

/** The tag of a number or of a yes. */
function number(field: number): number {
  return (field << 3) | WireType.Varint;
}

/** Numbers of more bytes are seldom, and some of them are more than 32 bits. */
const MAX_NUMBER_BYTES = 4;

/**
 * A connect that ends at a place.
 *
 * @returns undefined where the runtime has to say what it is
 * @throws Error for what cannot be read like this, which is for the runtime as well
 */
export function plainConnect(reader: BinaryReader, end: number): Connect | undefined {
  const connect = blankConnect();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case tag(1):
        connect.clientId = reader.string(true);
        break;
      case tag(2):
        connect.clientType = reader.string(true);
        break;
      case tag(3):
        connect.token = reader.string(true);
        break;
      case tag(4):
        connect.version = reader.string(true);
        break;
      case tag(5): {
        const length = reader.uint32();
        const subscription = plainSubscription(reader, reader.pos + length);
        if (subscription === undefined) return undefined;
        connect.subscriptions.push(subscription);
        break;
      }
      case tag(16):
        connect.capabilities.push(reader.string(true));
        break;
      case number(17): {
        const bytes = smallNumber(reader);
        if (bytes === undefined) return undefined;
        connect.maxFrameBytes = bytes;
        break;
      }
      default:
        return undefined;
    }
  }
  return reader.pos === end ? connect : undefined;
}

/**
 * A subscribe that ends at a place.
 *
 * @returns undefined where the runtime has to say what it is
 * @throws Error for what cannot be read like this, which is for the runtime as well
 */
export function plainSubscribe(reader: BinaryReader, end: number): Subscribe | undefined {
  const subscriptions: Subscription[] = [];
  while (reader.pos < end) {
    if (nextTag(reader) !== tag(1)) return undefined;
    const length = reader.uint32();
    const subscription = plainSubscription(reader, reader.pos + length);
    if (subscription === undefined) return undefined;
    subscriptions.push(subscription);
  }
  if (reader.pos !== end) return undefined;
  return { $typeName: "messageloop.v1.Subscribe", subscriptions };
}

function plainSubscription(reader: BinaryReader, end: number): Subscription | undefined {
  const subscription = blankSubscription();
  while (reader.pos < end) {
    const next = nextTag(reader);
    switch (next) {
      case tag(1):
        subscription.channel = reader.string(true);
        break;
      case tag(3):
        subscription.token = reader.string(true);
        break;
      case number(2):
      case number(16): {
        const yes = smallNumber(reader);
        if (yes === undefined || yes > 1) return undefined;
        subscription[next === number(2) ? "ephemeral" : "recover"] = yes === 1;
        break;
      }
      case tag(17): {
        const length = reader.uint32();
        // The runtime makes one of two.
        if (subscription.since !== undefined) return undefined;
        const since = plainPosition(reader, reader.pos + length);
        if (since === undefined) return undefined;
        subscription.since = since;
        break;
      }
      case number(18): {
        const rewind = smallNumber(reader);
        if (rewind === undefined) return undefined;
        subscription.rewind = rewind;
        break;
      }
      default:
        return undefined;
    }
  }
  return reader.pos === end ? subscription : undefined;
}

function plainPosition(reader: BinaryReader, end: number): StreamPosition | undefined {
  let epoch = "";
  let offset = 0n;
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case tag(1):
        epoch = reader.string(true);
        break;
      case number(2):
        offset = reader.uint64() as bigint;
        break;
      default:
        return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return { $typeName: "messageloop.v1.StreamPosition", epoch, offset };
}

function smallNumber(reader: BinaryReader): number | undefined {
  const start = reader.pos;
  const value = reader.uint32();
  return reader.pos - start > MAX_NUMBER_BYTES ? undefined : value;
}

/** Whether the fields of an answer to connect can be written here. */
export function isPlainConnected({ publications, subscriptions }: Connected): boolean {
  return publications.length === 0 && arePlain(subscriptions);
}

/** Whether acknowledged subscriptions can be written here. */
export function arePlain(subscriptions: readonly Subscription[]): boolean {
  return subscriptions.every((one) => {
    const known = one.$unknown === undefined && one.position?.$unknown === undefined;
    return known && isAnswer(one);
  });
}

/** Writes the fields of an answer to connect for which `isPlainConnected` is true. */
export function writeConnected(writer: BinaryWriter, connected: Connected): void {
  writeText(writer, 1, connected.sessionId);
  writeSubscriptions(writer, 2, connected.subscriptions);
  for (const name of connected.capabilities) writer.tag(16, WireType.LengthDelimited).string(name);
  writeText(writer, 17, connected.userId);
  writeNumber(writer, 18, connected.maxMessageBytes);
  writeNumber(writer, 19, connected.pingIntervalMs);
  writeUint64(writer, 20, connected.creditBytes);
  writeNumber(writer, 21, connected.dedupWindowMs);
}

/**
 * Writes acknowledged subscriptions for which `arePlain` is true.
 *
 * @param field under which each of them stands in the message around it
 */
export function writeSubscriptions(
  writer: BinaryWriter,
  field: number,
  subscriptions: readonly Subscription[],
): void {
  for (const { channel, ephemeral, token, position } of subscriptions) {
    writer.tag(field, WireType.LengthDelimited).fork();
    writeText(writer, 1, channel);
    if (ephemeral) writer.tag(2, WireType.Varint).bool(true);
    writeText(writer, 3, token);
    if (position !== undefined) {
      writer.tag(20, WireType.LengthDelimited).fork();
      writeText(writer, 1, position.epoch);
      writeUint64(writer, 2, position.offset);
      writer.join();
    }
    writer.join();
  }
}

function writeNumber(writer: BinaryWriter, field: number, value: number): void {
  if (value !== 0) writer.tag(field, WireType.Varint).uint32(value);
}
