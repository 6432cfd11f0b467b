/**
 * Publishes that wait for a connection, or for their answer.
 *
 * An event that was sent and not acknowledged may have been published. It is sent again only while the server would
 * recognise it, so that nothing is published twice; after that nobody can know, and its promise says so.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { deferred, whenAborted } from "../core/emitter.ts";
import type {
  PublishQueue,
  PublishResult,
  QueueContext,
  QueueFactory,
  QueueItem,
  QueueSession,
} from "../core/ports.ts";
import { retryAfterMs } from "../core/requests.ts";
import { Timer } from "../core/timer.ts";

/** What may wait while there is no connection. */
export interface QueueBounds {
  /** Default 100. */
  readonly items?: number;
  /** Bytes of their frames together. Default 1 MiB. */
  readonly bytes?: number;
  /** How long an event may wait that was never sent, in milliseconds. Default one hour. */
  readonly ageMs?: number;
}

/** How long before the server forgets an event it is not sent again any more, in milliseconds. */
export const MARGIN_MS = 30_000;
/** How long a refusal that a retry may mend holds up what waits, where the server names no time, in milliseconds. */
const PAUSE_MS = 1_000;

/** A moment by all clocks that there are, in milliseconds. */
export interface Moment {
  /** May stand still while the machine sleeps. */
  readonly elapsed: number;
  /** The server's time by the elapsed time since it was told; NaN before the first session. */
  readonly server: number;
  /** The device's clock. May be set. */
  readonly device: number;
}

/** An item, and what is to become of it. */
export interface Entry {
  readonly item: QueueItem;
  /** Undefined until somebody connects. */
  user: string | undefined;
  /** When the application has published it. */
  readonly born: Moment;
  /** When it was sent for the first time, of what may have been published by that. */
  sent: Moment | undefined;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A queue in memory: what waits in it is lost with the page.
 *
 * @example const client = await dial(url, { queue: memoryQueue({ items: 1_000 }) });
 */
export function memoryQueue(bounds?: QueueBounds): QueueFactory {
  return (context) => queueOf(context, bounds);
}

/** What keeps items beyond the life of their page. */
export interface Keeping {
  /** An item is new, or has changed. */
  keep(entry: Entry): void;
  /** An item is done with. */
  drop(entry: Entry): void;
  /** This page gives an item up, which stays where it is kept. */
  leave(entry: Entry): void;
}

/** A queue in memory, and what else is needed of it where its items are kept. */
export interface MemoryQueue extends PublishQueue {
  /** What is to be sent, in its order. */
  waiting(): ReadonlySet<Entry>;
  /** Sent in this session, and not answered. */
  readonly flying: ReadonlySet<Entry>;
  /** Puts items before those that wait. */
  restore(entries: readonly Entry[]): void;
  /** Whether nothing is sent, whatever waits. */
  hold(isHeld: boolean): void;
  /** Sends what waits, if it can be sent, and gives up what may not be any more. */
  flush(): void;
  now(): Moment;
  /** How long ago a moment was, in milliseconds. */
  age(then: Moment): number;
  /** @param kept whether it stays where it is kept, for its user */
  fail(entry: Entry, reason: string, kept: boolean): void;
}

export function queueOf(
  { clock }: QueueContext,
  bounds: QueueBounds = {},
  keeping?: Keeping,
): MemoryQueue {
  const { items = 100, bytes = 1 << 20, ageMs = 3_600_000 } = bounds;
  const timer = new Timer(clock);
  const pause = new Timer(clock);
  const flying = new Set<Entry>();
  let waiting = new Set<Entry>();
  let session: QueueSession | undefined;
  /** Who was connected last. */
  let user: string | undefined;
  let isClosed = false;
  let isHeld = false;
  let windowMs = 0;
  /** What has to be added to the elapsed time to have the server's. */
  let ahead = NaN;

  const now = (): Moment => {
    const elapsed = clock.elapsed();
    return { elapsed, server: elapsed + ahead, device: clock.now() };
  };

  /** @param careful whether it must not be too low, whatever has happened to clocks */
  const age = (then: Moment, careful = false): number => {
    const { elapsed, server, device } = now();
    return Math.max(
      elapsed - then.elapsed,
      server - then.server || 0,
      careful ? device - then.device : 0,
    );
  };

  const canSend = () => session && !isHeld && !pause.runs();

  /** @returns whether it was still to be settled */
  const take = (entry: Entry): boolean => {
    const there = waiting.delete(entry) || flying.delete(entry);
    if (there) keeping?.drop(entry);
    return there;
  };

  const fail = (entry: Entry, reason: string, kept: boolean): void => {
    if (kept) {
      waiting.delete(entry);
      keeping?.leave(entry);
    } else take(entry);
    const cause = notSent(reason);
    entry.reject(
      entry.sent ? new MessagingError("OUTCOME_UNKNOWN", "outcome unknown", { cause }) : cause,
    );
  };

  /** Gives up what may not be sent any more, and comes back when there may be more of it. */
  const tidy = (): void => {
    timer.stop();
    let next = ageMs;
    for (const entry of waiting) {
      const left = entry.sent
        ? windowMs - MARGIN_MS - age(entry.sent, true)
        : ageMs - age(entry.born);
      if (left > 0) next = Math.min(next, left);
      else fail(entry, "no connection", false);
    }
    if (waiting.size) timer.set(next, tidy);
  };

  /** Not at once: an answer that has come before the end of the session is still on its way to its promise. */
  const tidySoon = (): void => timer.set(0, tidy);

  const rest = (entry: Entry): void => {
    waiting.add(entry);
    tidySoon();
    keeping?.keep(entry);
  };

  /** Sends what waits, if it can be sent. */
  const flush = (): void => {
    tidy();
    for (const entry of waiting) {
      if (!canSend()) return;
      waiting.delete(entry);
      send(entry);
    }
    // Nothing is left that a process would have to stay for.
    timer.stop();
  };

  const send = (entry: Entry): void => {
    const mine = session as QueueSession;
    const again = Boolean(entry.sent);
    entry.sent ??= now();
    flying.add(entry);
    keeping?.keep(entry);
    mine.send(entry.item, again).then(
      (result) => {
        if (take(entry)) entry.resolve(result);
      },
      (error: unknown) => {
        const refusal = MessagingError.from(error);
        if (!refusal.retry) {
          if (take(entry)) entry.reject(error);
        } else if (mine === session && flying.delete(entry)) {
          // Of anything but UNAVAILABLE it is known that this time has published nothing.
          if (refusal.code !== "UNAVAILABLE" && !again) entry.sent = undefined;
          rest(entry);
          if (!pause.runs()) pause.set(retryAfterMs(refusal) || PAUSE_MS, flush);
        }
      },
    );
  };

  const lost = (): void => {
    session = undefined;
    pause.stop();
    waiting = new Set([...flying, ...waiting]);
    flying.clear();
    tidySoon();
  };

  return {
    add(item, signal) {
      const [promise, resolve, reject] = deferred<PublishResult>();
      const entry: Entry = { item, user, born: now(), sent: undefined, resolve, reject };
      let { size } = item;
      for (const other of waiting) size += other.item.size;
      if (signal?.aborted) reject(signal.reason);
      else if (isClosed) reject(notSent("the client is closed"));
      else if (canSend() && !waiting.size) send(entry);
      else if (waiting.size >= items || size > bytes) {
        reject(new MessagingError("RATE_LIMITED", "too much waits"));
      } else rest(entry);
      whenAborted(signal, (reason) => take(entry) && reject(reason), promise);
      return promise;
    },
    opened(next) {
      session = next;
      user = next.userId;
      windowMs = next.dedupWindowMs;
      ahead = next.time - clock.elapsed();
      for (const entry of waiting) {
        if (entry.user === undefined) {
          entry.user = user;
          keeping?.keep(entry);
        } else if (entry.user !== user) fail(entry, "another user", true);
      }
      flush();
    },
    lost,
    async close() {
      isClosed = true;
      lost();
      for (const entry of waiting) fail(entry, "the client is closed", true);
    },
    waiting: () => waiting,
    flying,
    restore(entries) {
      waiting = new Set([...entries, ...waiting]);
    },
    hold(held) {
      isHeld = held;
    },
    flush,
    now,
    age,
    fail,
  };
}

function notSent(reason: string): MessagingError {
  return new MessagingError("UNAVAILABLE", `not sent: ${reason}`);
}
