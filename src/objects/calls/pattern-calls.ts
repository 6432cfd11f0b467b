/** A pattern index's messages in the words of the ports. */
import { create, toBinary } from "@bufbuild/protobuf";
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
import type { PatternInterest } from "./pattern-interest.ts";

/** Resolves with the index's time, Unix milliseconds. */
export async function subscribeTo(stub: PatternStub, row: PatternRow): Promise<number> {
  const request = create(PatternSubscribeRequestSchema, { ...row, version: BigInt(row.version) });
  const answer = await stub.subscribe(toBinary(PatternSubscribeRequestSchema, request));
  return Number(readAnswer(PatternSubscribeResponseSchema, answer).time);
}

export async function unsubscribeFrom(
  stub: PatternStub,
  { gateway, version, pattern }: Omit<PatternRow, "presence">,
): Promise<void> {
  const request = create(PatternUnsubscribeRequestSchema, {
    gateway,
    version: BigInt(version),
    pattern,
  });
  await stub.unsubscribe(toBinary(PatternUnsubscribeRequestSchema, request));
}

export async function leaseOf(
  stub: PatternStub,
  channel: string,
  gone: readonly PatternInterest[],
): Promise<PatternInterest[]> {
  const request = create(LeaseRequestSchema, { channel, gone: gone.map(interestMessage) });
  const answer = await stub.lease(toBinary(LeaseRequestSchema, request));
  return readAnswer(LeaseResponseSchema, answer).gateways.map(interestOf);
}

export async function activeOf(
  stub: PatternStub,
  pattern: string,
  since: number,
  limit: number,
): Promise<ActiveChannels> {
  const request = create(ActiveRequestSchema, { pattern, since: BigInt(since), limit });
  const answer = await stub.active(toBinary(ActiveRequestSchema, request));
  const { channels, gap } = readAnswer(ActiveResponseSchema, answer);
  return { channels, gap: gapReasonOf(gap) };
}

export function interestMessage({ gateway, version, presence }: PatternInterest) {
  return { gateway, version: BigInt(version), presence };
}

export function interestOf({ gateway, version, presence }: PatternGateway): PatternInterest {
  return { gateway, version: Number(version), presence };
}
