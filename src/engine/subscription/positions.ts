/**
 * Numbers between the wire and the engine. The wire has 64 bits and the engine has doubles: what comes in
 * is cut to what a double holds exactly, and what goes out is always a number that the wire can carry.
 */
import type { StreamPosition } from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { Position } from "../ports/broker.ts";

const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * A count, an offset or a time of the wire. More than 2^53 - 1 becomes 2^53 - 1, which is more than any
 * log, connection or clock reaches; less than 0 becomes 0.
 */
export function countOf(value: bigint): number {
  if (value > MAX_COUNT) return Number.MAX_SAFE_INTEGER;
  return value < 0n ? 0 : Number(value);
}

/** The same number for the wire. Never throws: a fraction is cut off, and what is no count is 0. */
export function uint64Of(value: number): bigint {
  if (!(value > 0)) return 0n;
  return value >= Number.MAX_SAFE_INTEGER ? MAX_COUNT : BigInt(Math.trunc(value));
}

/** A position that a client names. One beyond every head stays beyond every head. */
export function positionOf({ epoch, offset }: StreamPosition): Position {
  return { epoch, offset: countOf(offset) };
}

/** A position for the wire. */
export function positionMessage({ epoch, offset }: Position): StreamPosition {
  return { $typeName: "messageloop.v1.StreamPosition", epoch, offset: uint64Of(offset) };
}
