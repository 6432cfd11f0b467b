/** Patience with a Redis that is away: how long a call is repeated, and when it is given up. */
import type { Clock, Timers } from "../../../engine/ports/platform.ts";
import { pauseAfter, repeated, type Tries } from "../../../engine/ports/timers.ts";
import { MessagingError, unavailable } from "../../../protocol/errors.ts";
import { CHANNEL_TIMEOUT_MS } from "../../../protocol/limits.ts";
import type { RedisKeys } from "../keys.ts";
import { type RedisCommands, RedisFailure } from "../ports.ts";
import type { Troubles } from "./troubles.ts";

/** How long a call that was never sent waits for a connection, in milliseconds. */
export const OFFLINE_PATIENCE_MS = 1_000;
/** Between two tries. */
const PAUSES = { firstMs: 10, longestMs: 200 };

/** When Redis was first found to be away; undefined while it is there. */
export interface Outage {
  since: number | undefined;
}

export interface RetryContext {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly troubles: Troubles;
  readonly outage: Outage;
}

/** What a node's calls need. */
export interface CallContext extends RetryContext {
  readonly commands: RedisCommands;
  readonly keys: RedisKeys;
}

/**
 * Calls until Redis answers, with `patience`.
 *
 * @throws MessagingError UNAVAILABLE
 */
export function patiently<T>(context: RetryContext, call: () => Promise<T>): Promise<T> {
  return repeated(call, patience(context));
}

/**
 * How long a call is tried. One that was never sent is given up after OFFLINE_PATIENCE_MS of outage, however many
 * calls share it; one whose outcome is unknown after CHANNEL_TIMEOUT_MS. All that it throws is UNAVAILABLE.
 */
export function patience(context: RetryContext): Tries {
  // Of a cluster one server may be away and another there: the first of the two does not wait longer.
  let away: Offline | undefined;
  let sent = false;
  return {
    timers: context.timers,
    timeoutMs: CHANNEL_TIMEOUT_MS,
    late: () => unavailable("Redis does not answer in time"),
    failed: (error, failures) => {
      if (!(error instanceof RedisFailure)) throw error;
      if (!mendable(error)) throw refused(context, error);
      if (error.kind === "lost") sent = true;
      else away ??= offline(context);
      if (!sent && away?.over === true) throw unavailable("Redis is away", error);
      return pauseAfter(failures, PAUSES);
    },
    ended: () => away?.end(),
  };
}

/** How long a call that was never sent goes on. */
interface Offline {
  readonly over: boolean;
  end(): void;
}

function offline({ clock, outage: { since }, timers }: RetryContext): Offline {
  const spent = since === undefined ? 0 : clock.now() - since;
  // A clock that was set back or forward says nothing of an outage.
  const left = OFFLINE_PATIENCE_MS - Math.min(Math.max(spent, 0), OFFLINE_PATIENCE_MS);
  let over = left === 0;
  const end = timers.after(left, () => {
    over = true;
  });
  return {
    get over() {
      return over;
    },
    end,
  };
}

/**
 * Whether the same call may succeed later without anybody's help: whatever became of it, Redis has neither refused
 * it nor answered what cannot be read. An error of our own is mended by no repetition.
 */
export function mendable(error: unknown): boolean {
  if (error instanceof RedisFailure) return error.kind !== "refused" && error.kind !== "garbled";
  if (!(error instanceof MessagingError) || error.code !== "UNAVAILABLE") return false;
  return !(error.cause instanceof RedisFailure) || mendable(error.cause);
}

/** The error that a client gets for a call that no repetition mends. Operators read the cause. */
export function refused({ troubles }: RetryContext, failure: RedisFailure): MessagingError {
  troubles.note("a request", failure);
  if (failure.kind === "garbled") return unavailable("Redis answered what cannot be read", failure);
  const foreign = failure.message.startsWith("WRONGTYPE");
  return unavailable(foreign ? "a key in Redis holds what is not ours" : "Redis refused", failure);
}
