/** Answers to connect and subscribe, in protobuf without the runtime. What is seldom in them is left to it. */
import { type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Connected, Subscription } from "../gen/messageloop/v1/service_pb.js";
import { writeText, writeUint64 } from "./writer.ts";

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

/** Whether a subscription holds what is acknowledged of one that was granted, and nothing else. */
function isAnswer({ recover, since, rewind, positions, error }: Subscription): boolean {
  if (recover || since !== undefined || rewind !== 0 || error !== undefined) return false;
  return Object.keys(positions).length === 0;
}
