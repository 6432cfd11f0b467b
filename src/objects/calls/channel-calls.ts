/** A channel's messages in the words of the ports. */
import type {
  HistoryFilter,
  HistoryPage,
  Position,
  PresenceSnapshot,
} from "../../engine/ports/broker.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  GatewaysResponseSchema,
  HistoryRequestSchema,
  HistoryResponseSchema,
  PresenceRequestSchema,
  PresenceResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Member, StreamPosition } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import type { ChannelStub } from "../ports/calls.ts";
import { gapReasonOf, readAnswer } from "./answers.ts";
import { encode } from "./encode.ts";

/**
 * Asks a channel for a page of its log.
 *
 * @param filter a limit below 0 stands for the largest page; `maxBytes` bounds the answer
 * @throws what the call fails with, and MessagingError INTERNAL_ERROR for an answer that cannot be read
 */
export async function historyOf(
  stub: ChannelStub,
  { since, limit, reverse = false, maxBytes }: HistoryFilter,
): Promise<HistoryPage> {
  const request = encode(HistoryRequestSchema, {
    ...(since && { since: { epoch: since.epoch, offset: BigInt(since.offset) } }),
    limit: limit < 0 ? MAX_BATCH_ENTRIES : limit,
    reverse,
    // 0 would leave the bound to the channel.
    bytes: maxBytes === undefined ? 0 : Math.max(maxBytes, 1),
  });
  const answer = await stub.history(request);
  const { position, first, reason, entries, more } = readAnswer(HistoryResponseSchema, answer);
  return {
    position: positionOf(position),
    first: Number(first),
    reason: gapReasonOf(reason),
    entries,
    more,
  };
}

/** Asks a channel for its members, `limit` of them at most, and how many there are. */
export async function presenceOf(stub: ChannelStub, limit: number): Promise<PresenceSnapshot> {
  const answer = await stub.presence(encode(PresenceRequestSchema, { limit }));
  const { members, total, generation } = readAnswer(PresenceResponseSchema, answer);
  return {
    epoch: generation?.epoch ?? "",
    members: members.map(memberOf),
    total,
    generation: Number(generation?.number ?? 0),
  };
}

/** Names of the gateways that hear the channel. */
export async function gatewaysOf(stub: ChannelStub): Promise<readonly string[]> {
  return readAnswer(GatewaysResponseSchema, await stub.gateways()).gateways;
}

/** @throws MessagingError INTERNAL_ERROR where there is none: to ask again would not help */
export function positionOf(position: StreamPosition | undefined): Position {
  if (position === undefined || position.epoch === "") {
    throw new MessagingError("INTERNAL_ERROR", "the channel gave no position");
  }
  return { epoch: position.epoch, offset: Number(position.offset) };
}

/** A member as the ports have it. */
export function memberOf(member: Member | undefined) {
  const { userId = "", clientId = "", sessionId = "", time = 0n } = member ?? {};
  return { userId, clientId, sessionId, time: Number(time) };
}
