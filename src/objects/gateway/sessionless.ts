/** The broker of a place that has no sessions, such as one request that is answered beside all gateways. */
import type { Random } from "../../engine/ports/platform.ts";
import { ObjectBroker, type ObjectBrokerOptions } from "./broker.ts";
import { Turn } from "./turn.ts";

export interface SessionlessOptions
  extends Pick<
    ObjectBrokerOptions,
    "calls" | "isGateway" | "keepsDirectory" | "platform" | "region" | "regions"
  > {
  readonly random: Random;
}

/**
 * Publishes, reads and removes history, lists members, calls the gateways of sessions, and asks those of a
 * channel's subscribers. Nothing can be delivered to it, so to subscribe is a mistake.
 */
export function sessionlessBroker(options: SessionlessOptions): ObjectBroker {
  return new ObjectBroker({
    ...options,
    gateway: "",
    channelRegistrations: noRegistrations,
    patternRegistrations: noRegistrations,
    userRegistrations: noRegistrations,
    turn: new Turn(options.platform.timers),
  });
}

const noRegistrations = {
  size: 0,
  get: () => undefined,
  set: refuse,
  delete: () => {},
  all: () => [],
  nextVersion: refuse,
};

function refuse(): never {
  throw new Error("who has no sessions registers nothing");
}
