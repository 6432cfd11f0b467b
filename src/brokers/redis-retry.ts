/** Patience with a Redis that is away: how long a call is repeated, and when it is given up. */
import type { Clock, Timers } from "../engine/ports.ts";
import { MessagingError } from "../protocol/errors.ts";
import { CHANNEL_TIMEOUT_MS } from "../protocol/limits.ts";
import { type RedisCommands, RedisFailure, type RedisReply } from "./redis-ports.ts";
import type { Troubles } from "./redis-troubles.ts";

/** How long a call that was never sent waits for a connection, in milliseconds. */
export const OFFLINE_PATIENCE_MS = 1_000;
/** First pause between two tries, in milliseconds; it doubles up to the last. */
const FIRST_PAUSE_MS = 10;
const LAST_PAUSE_MS = 200;

export interface Waiting {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly troubles: Troubles;
}

/** When Redis was first found to be away; undefined while it is there. */
export interface Outage {
  since: number | undefined;
}

/**
 * Commands that note whether Redis is there.
 *
 * @param failed hears of failures that say that it is not, or that it is not the one to write to
 */
export function watched(
  commands: RedisCommands,
  clock: Clock,
  outage: Outage,
  failed: (failure: RedisFailure) => void,
): RedisCommands {
  const note = async (call: Promise<RedisReply>): Promise<RedisReply> => {
    try {
      const reply = await call;
      outage.since = undefined;
      return reply;
    } catch (error) {
      if (error instanceof RedisFailure) {
        if (error.kind === "offline") outage.since ??= clock.now();
        if (error.kind === "offline" || error.message.startsWith("READONLY")) failed(error);
      }
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
      if (!mendable(error)) {
        waiting.troubles.note("a request", error);
        throw unavailable(refusalOf(error), error);
      }
      const now = clock.now();
      if (error.kind === "lost") sent = true;
      else away = Math.min(away, outage.since ?? now);
      const end = sent ? began + CHANNEL_TIMEOUT_MS : away + OFFLINE_PATIENCE_MS;
      if (now + pause >= end) throw unavailable("Redis is away", error);
    }
    await delay(timers, pause);
  }
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

/** What a client is told of a call that no repetition mends. */
function refusalOf({ kind, message }: RedisFailure): string {
  if (kind === "garbled") return "Redis answered what cannot be read";
  return message.startsWith("WRONGTYPE")
    ? "a key in Redis holds what is not ours"
    : "Redis refused";
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
