/** A pattern index's messages in the words of the ports. */
import type { ActiveChannels } from "../../engine/ports/broker.ts";
import {
  ActiveRequestSchema,
  ActiveResponseSchema,
  LeaseRequestSchema,
  LeaseResponseSchema,
  type PatternGateway,
  PatternSubscribeRequestSchema,
  PatternSubscribeResponseSchema,
  PatternUnsubscribeRequestSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { PatternStub } from "../ports/calls.ts";
import type { PatternRow } from "../ports/pattern-store.ts";
import { gapReasonOf, readAnswer } from "./answers.ts";
import { encode } from "./encode.ts";
import type { PatternInterest } from "./pattern-interest.ts";

/** Resolves with the index's time, Unix milliseconds. */
export async function subscribeTo(stub: PatternStub, row: PatternRow): Promise<number> {
  const version = BigInt(row.version);
  const answer = await stub.subscribe(encode(PatternSubscribeRequestSchema, { ...row, version }));
  return Number(readAnswer(PatternSubscribeResponseSchema, answer).time);
}

/** Takes a registration back. A later one of the same gateway, which has a higher version, stays. */
export async function unsubscribeFrom(
  stub: PatternStub,
  { gateway, version, pattern }: Omit<PatternRow, "presence">,
): Promise<void> {
  const end = { gateway, version: BigInt(version), pattern };
  await stub.unsubscribe(encode(PatternUnsubscribeRequestSchema, end));
}

/**
 * Asks an index for a channel's lease.
 *
 * @param gone gateways that have said since the last lease that they do not hear the channel
 * @returns the gateways that hear the channel through patterns, each once
 */
export async function leaseOf(
  stub: PatternStub,
  channel: string,
  gone: readonly PatternInterest[],
): Promise<PatternInterest[]> {
  const request = encode(LeaseRequestSchema, { channel, gone: gone.map(interestMessage) });
  const answer = await stub.lease(request);
  return readAnswer(LeaseResponseSchema, answer).gateways.map(interestOf);
}

/** Asks an index for the channels of a pattern that may have been published to since a time, in Unix milliseconds. */
export async function activeOf(
  stub: PatternStub,
  pattern: string,
  since: number,
  limit: number,
): Promise<ActiveChannels> {
  const request = encode(ActiveRequestSchema, { pattern, since: BigInt(since), limit });
  const answer = await stub.active(request);
  const { channels, gap } = readAnswer(ActiveResponseSchema, answer);
  return { channels, gap: gapReasonOf(gap) };
}

export function interestMessage({ gateway, version, presence }: PatternInterest) {
  return { gateway, version: BigInt(version), presence };
}

export function interestOf({ gateway, version, presence }: PatternGateway): PatternInterest {
  return { gateway, version: Number(version), presence };
}
