/** What is told on the wire, as facts have it. */
import type { Gap, StreamPosition } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Ask, Place, SeenGap } from "./facts.ts";

export function askes({ recover, since, rewind }: Ask): boolean {
  return recover || since !== undefined || rewind > 0;
}

export function sameAs(one: Place | undefined, other: Place | undefined): boolean {
  return one?.epoch === other?.epoch && one?.offset === other?.offset;
}

export function placeOf(position: StreamPosition | undefined): Place | undefined {
  // Without an epoch it says nothing.
  if (position === undefined || position.epoch === "") return undefined;
  return { epoch: position.epoch, offset: Number(position.offset) };
}

export function gapOf({ reason, after, until }: Gap): SeenGap {
  return { reason, after: placeOf(after), until: placeOf(until) };
}
