/** Patience with a Redis that is away: how long a call is repeated, and when it is given up. */
import type { Clock, Timers } from "../engine/ports.ts";
import { MessagingError } from "../protocol/errors.ts";
import { CHANNEL_TIMEOUT_MS } from "../protocol/limits.ts";
import { type RedisCommands, RedisFailure, type RedisReply } from "./redis-ports.ts";

/** How long a call that was never sent waits for a connection, in milliseconds. */
export const OFFLINE_PATIENCE_MS = 1_000;
/** First pause between two tries, in milliseconds; it doubles up to the last. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 200;

export interface Waiting {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** When Redis was first found to be away; undefined while it is there. */
export interface Outage {
  since: number | undefined;
}

/** Commands that note whether Redis is there. */
export function watched(commands: RedisCommands, clock: Clock, outage: Outage): RedisCommands {
  const note = async (call: Promise<RedisReply>): Promise<RedisReply> => {
    try {
      const reply = await call;
      outage.since = undefined;
      return reply;
    } catch (error) {
      if (error instanceof RedisFailure && error.kind === "offline") outage.since ??= clock.now();
      throw error;
    }
  };
  return {
    command: (key, args) => note(commands.command(key, args)),
    run: (script, keys, args) => note(commands.run(script, keys, args)),
  };
}

/**
 * Calls until Redis answers. A call that was never sent is given up after OFFLINE_PATIENCE_MS of
 * outage, however many calls share it; one whose outcome is unknown after CHANNEL_TIMEOUT_MS.
 *
 * @throws MessagingError UNAVAILABLE
 */
export async function patiently<T>(
  waiting: Waiting,
  outage: Outage,
  call: () => Promise<T>,
): Promise<T> {
  const { clock, timers } = waiting;
  const began = clock.now();
  let sent = false;
  // Of a cluster one server may be away and another there: the first of the two does not wait longer.
  let away = Number.POSITIVE_INFINITY;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LAST_PAUSE_MS)) {
    try {
      return await withDeadline(waiting, call(), began + CHANNEL_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error;
      if (error.kind === "refused") throw unavailable("Redis refused", error);
      const now = clock.now();
      if (error.kind === "lost") sent = true;
      else away = Math.min(away, outage.since ?? now);
      const end = sent ? began + CHANNEL_TIMEOUT_MS : away + OFFLINE_PATIENCE_MS;
      if (now + pause >= end) throw unavailable("Redis is away", error);
    }
    await delay(timers, pause);
  }
}

/** Calls until it succeeds or nobody cares any more; for what has to happen some time. */
export async function untilDone(
  { timers }: Waiting,
  over: () => boolean,
  call: () => Promise<void>,
): Promise<void> {
  for (let pause = FIRST_PAUSE_MS; !over(); pause = Math.min(2 * pause, 5 * LAST_PAUSE_MS)) {
    try {
      await call();
      return;
    } catch {
      await delay(timers, pause);
    }
  }
}

export function delay(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => timers.after(ms, resolve));
}

/** The outcome is unknown; the same request may be sent again. */
export function unavailable(message: string, cause?: unknown): MessagingError {
  return new MessagingError("UNAVAILABLE", message, cause === undefined ? {} : { cause });
}

/**
 * The promise's outcome, or UNAVAILABLE at a time. The late outcome is ignored.
 *
 * @param at Unix milliseconds
 */
function withDeadline<T>({ clock, timers }: Waiting, promise: Promise<T>, at: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(unavailable("Redis does not answer in time"));
    const cancel = timers.after(Math.max(at - clock.now(), 0), late);
    promise.finally(cancel).then(resolve, reject);
  });
}
