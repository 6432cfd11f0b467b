/** A gateway's messages in the words of the ports. */
import { fromBinary } from "@bufbuild/protobuf";
import type { PresenceChange } from "../../channels/presence.ts";
import { withDeadline } from "../../engine/ports/timers.ts";
import {
  type DeliverRequest,
  DeliverResponseSchema,
  type Entry,
  type NodeAnswer,
  NodeAnswerSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { GatewayStub } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { memberOf } from "./channel-calls.ts";
import { encode } from "./encode.ts";
import type { Delivery } from "./internal-codec.ts";

/** Answers to a delivery: the gateway hears the channel, or does not. Made once, for there are many. */
export const STAYS = encode(DeliverResponseSchema, { gone: false });
export const GONE = encode(DeliverResponseSchema, { gone: true });

/** A delivery as it came. */
export interface Run
  extends Pick<Delivery, "epoch" | "presenceLost" | "prev" | "registration" | "undeliveredTime"> {
  readonly entries: readonly Entry[];
  readonly presence: readonly PresenceChange[];
}

/** Resolves with whether the gateway does not hear the channel. */
export async function deliverTo(
  stub: GatewayStub,
  request: Uint8Array,
): Promise<{ readonly gone: boolean }> {
  return fromBinary(DeliverResponseSchema, await stub.deliver(request));
}

/**
 * Asks a gateway once, within so many milliseconds.
 *
 * @throws what the call fails with
 */
export async function askGateway(
  stub: GatewayStub,
  request: Uint8Array,
  { timers }: ObjectPlatform,
  timeoutMs: number,
): Promise<NodeAnswer["answer"]> {
  const answer = await withDeadline(timers, stub.call(request), timeoutMs);
  return fromBinary(NodeAnswerSchema, answer).answer;
}

/** A delivery as the cursor takes it. */
export function runOf(request: DeliverRequest): Run {
  const { registration, epoch, prev, entries, presence, presenceLost, undeliveredTime } = request;
  const changes = presence.map(({ member, joined, generation }) => ({
    member: memberOf(member),
    joined,
    generation: Number(generation),
  }));
  return {
    registration,
    epoch,
    prev: Number(prev),
    entries,
    presence: changes,
    presenceLost,
    undeliveredTime: Number(undeliveredTime),
  };
}
