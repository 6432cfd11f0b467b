/** A channel object as a gateway sees it, and its messages in the words of the ports. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { PresenceChange } from "../../channels/presence.ts";
import type {
  HistoryFilter,
  HistoryPage,
  Position,
  PresenceSnapshot,
} from "../../engine/ports/broker.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type DeliverRequest,
  type Entry,
  HistoryRequestSchema,
  HistoryResponseSchema,
  PresenceRequestSchema,
  PresenceResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Member, StreamPosition } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import { gapReasonOf, readAnswer } from "./answers.ts";

/** Requests and answers are messages of `messageloop.internal.v1`. A call that throws breaks the stub. */
export interface ChannelStub {
  register(request: Uint8Array): Promise<Uint8Array>;
  publish(request: Uint8Array): Promise<Uint8Array>;
  read(request: Uint8Array): Promise<Uint8Array>;
  history(request: Uint8Array): Promise<Uint8Array>;
  removeHistory(): Promise<void>;
  presence(request: Uint8Array): Promise<Uint8Array>;
}

/** A delivery as it came. */
export interface Run {
  readonly registration: string;
  readonly epoch: string;
  /** Offset before the first entry, as far as the channel knows this gateway. */
  readonly prev: number;
  readonly entries: readonly Entry[];
  readonly presence: readonly PresenceChange[];
  readonly presenceLost: boolean;
}

export async function historyOf(
  stub: ChannelStub,
  { since, limit, reverse = false, maxBytes }: HistoryFilter,
): Promise<HistoryPage> {
  const request = create(HistoryRequestSchema, {
    ...(since && { since: { epoch: since.epoch, offset: BigInt(since.offset) } }),
    limit: limit < 0 ? MAX_BATCH_ENTRIES : limit,
    reverse,
    // 0 would leave the bound to the channel.
    bytes: maxBytes === undefined ? 0 : Math.max(maxBytes, 1),
  });
  const answer = await stub.history(toBinary(HistoryRequestSchema, request));
  const { position, first, reason, entries, more } = readAnswer(HistoryResponseSchema, answer);
  return {
    position: positionOf(position),
    first: Number(first),
    reason: gapReasonOf(reason),
    entries,
    more,
  };
}

export async function presenceOf(stub: ChannelStub, limit: number): Promise<PresenceSnapshot> {
  const request = create(PresenceRequestSchema, { limit });
  const answer = await stub.presence(toBinary(PresenceRequestSchema, request));
  const { members, total, generation } = readAnswer(PresenceResponseSchema, answer);
  return {
    epoch: generation?.epoch ?? "",
    members: members.map(memberOf),
    total,
    generation: Number(generation?.number ?? 0),
  };
}

/** A delivery as the cursor takes it. */
export function runOf(request: DeliverRequest): Run {
  const { registration, epoch, prev, entries, presence, presenceLost } = request;
  const changes = presence.map(({ member, joined, generation }) => ({
    member: memberOf(member),
    joined,
    generation: Number(generation),
  }));
  return { registration, epoch, prev: Number(prev), entries, presence: changes, presenceLost };
}

/** @throws MessagingError INTERNAL_ERROR where there is none: to ask again would not help */
export function positionOf(position: StreamPosition | undefined): Position {
  if (position === undefined || position.epoch === "") {
    throw new MessagingError("INTERNAL_ERROR", "the channel gave no position");
  }
  return { epoch: position.epoch, offset: Number(position.offset) };
}

function memberOf(member: Member | undefined) {
  const { userId = "", clientId = "", sessionId = "", time = 0n } = member ?? {};
  return { userId, clientId, sessionId, time: Number(time) };
}
