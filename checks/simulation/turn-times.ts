/** How long an object is busy with what, by what the bench has measured of workerd. */
import type { Results } from "../../bench/results.ts";

/** In milliseconds. */
export interface TurnTimes {
  /** One step of a publish to one subscriber: to take a frame, to make a call, or to answer one. */
  readonly step: number;
  /** One subscriber's socket, where one message is delivered. */
  readonly socket: number;
  /** One more message that is written to it at the same time. */
  readonly further: number;
  /** A client that connects and subscribes. */
  readonly connect: number;
}

/**
 * A publish to one subscriber is three steps, frame, call and answer, and one socket; so each step is a third of what
 * the row `worker-one-to-one` takes beside the socket. A socket is the slope between `worker-fan-out-100` and `-1000`, and a
 * further message what a delivery takes of `worker-fan-out-1000` at saturation, where messages share writes. A client that comes is
 * the row `worker-connect-at-once`.
 */
export function turnTimesOf({ rows }: Pick<Results, "rows">): TurnTimes {
  const target = (name: string) => {
    const found = rows.find((row) => row.name === name)?.targets["messageloop"];
    if (found === undefined) throw new Error(`the bench has no result of ${name}`);
    return found;
  };
  const ms = (name: string): number => target(name).cost / 1e6;
  const socket = (1_000 * ms("worker-fan-out-1000") - 100 * ms("worker-fan-out-100")) / 900;
  const perSecond = target("worker-fan-out-1000").saturation?.perSecond ?? Number.NaN;
  return {
    step: (ms("worker-one-to-one") - socket) / 3,
    socket,
    further: 1_000 / perSecond,
    connect: ms("worker-connect-at-once"),
  };
}
