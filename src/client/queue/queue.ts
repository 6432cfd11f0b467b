/**
 * Publishes that wait for a connection, or for their answer.
 *
 * An event that was sent and not acknowledged may have been published. It is sent again only while the server would
 * recognise it, so that nothing is published twice; after that nobody can know, and its promise says so.
 */
import { MessagingError } from "../../protocol/errors.ts";
import type { Signal } from "../core/emitter.ts";
import type {
  PublishQueue,
  PublishResult,
  QueueContext,
  QueueFactory,
  QueueItem,
  QueueSession,
} from "../core/ports.ts";

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
  return (context) => new MemoryQueue(context, bounds);
}

export class MemoryQueue implements PublishQueue {
  protected readonly context: QueueContext;
  protected session: QueueSession | undefined;
  /** Who was connected last. */
  protected user: string | undefined;
  /** In the order in which they are sent. */
  protected waiting = new Set<Entry>();
  /** Sent in this session, and not answered. */
  protected readonly flying = new Set<Entry>();
  protected closed = false;
  /** Nothing is sent meanwhile. */
  protected held = false;
  readonly #bounds: Required<QueueBounds>;
  #windowMs = 0;
  /** What has to be added to the elapsed time to have the server's. */
  #ahead = Number.NaN;
  #endPause: (() => void) | undefined;
  #endTimer: (() => void) | undefined;

  constructor(context: QueueContext, bounds?: QueueBounds) {
    this.context = context;
    this.#bounds = { items: 100, bytes: 1 << 20, ageMs: 3_600_000, ...bounds };
  }

  add(item: QueueItem, signal?: Signal): Promise<PublishResult> {
    let abort = (): void => {};
    const settled = new Promise<PublishResult>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.closed) return reject(notSent("the client is closed"));
      const entry: Entry = {
        item,
        user: this.user,
        born: this.now(),
        sent: undefined,
        resolve,
        reject,
      };
      if (!this.#ready || this.waiting.size > 0) {
        let { size } = item;
        for (const other of this.waiting) size += other.item.size;
        if (this.waiting.size >= this.#bounds.items || size > this.#bounds.bytes) {
          return reject(new MessagingError("RATE_LIMITED", "too much waits to be sent"));
        }
        this.rest(entry);
        this.keep(entry);
      } else this.#send(entry);
      abort = () => {
        if (this.take(entry)) reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort);
    });
    const end = (): void => signal?.removeEventListener("abort", abort);
    if (signal) settled.then(end, end);
    return settled;
  }

  opened(session: QueueSession): void {
    const { userId, dedupWindowMs, time } = session;
    this.session = session;
    this.user = userId;
    this.#windowMs = dedupWindowMs;
    this.#ahead = time - this.context.clock.elapsed();
    for (const entry of this.waiting) {
      if (entry.user === undefined) {
        entry.user = userId;
        this.keep(entry);
      } else if (entry.user !== userId) this.fail(entry, "another user has connected", true);
    }
    this.flush();
  }

  lost(): void {
    this.session = undefined;
    this.#endPause?.();
    this.#endPause = undefined;
    this.waiting = new Set([...this.flying, ...this.waiting]);
    this.flying.clear();
    this.#soon();
  }

  async close(_forget: boolean): Promise<void> {
    this.closed = true;
    this.lost();
    for (const entry of this.waiting) this.fail(entry, "the client is closed", true);
  }

  /** An item is new, or has changed. */
  protected keep(_: Entry): void {}

  /** An item is done with. */
  protected drop(_: Entry): void {}

  protected now(): Moment {
    const elapsed = this.context.clock.elapsed();
    return { elapsed, server: elapsed + this.#ahead, device: this.context.clock.now() };
  }

  /** @param careful whether it must not be too low, whatever has happened to clocks */
  protected age(then: Moment, careful = false): number {
    const now = this.now();
    const age = Math.max(now.elapsed - then.elapsed, now.server - then.server || 0);
    return careful ? Math.max(age, now.device - then.device) : age;
  }

  protected rest(entry: Entry): void {
    this.waiting.add(entry);
    this.#soon();
  }

  /** Sends what waits, if it can be sent. */
  protected flush(): void {
    this.#tidy();
    for (const entry of this.waiting) {
      if (!this.#ready) return;
      this.waiting.delete(entry);
      this.#send(entry);
    }
    // Nothing is left that a process would have to stay for.
    this.#endTimer?.();
  }

  /** @returns whether it was still to be settled */
  protected take(entry: Entry): boolean {
    const there = this.waiting.delete(entry) || this.flying.delete(entry);
    if (there) this.drop(entry);
    return there;
  }

  /** @param kept whether it stays where it is kept, for its user */
  protected fail(entry: Entry, reason: string, kept?: boolean): void {
    if (kept) this.waiting.delete(entry);
    else this.take(entry);
    const cause = notSent(reason);
    entry.reject(
      entry.sent ? new MessagingError("OUTCOME_UNKNOWN", "outcome unknown", { cause }) : cause,
    );
  }

  get #ready(): boolean {
    return this.session !== undefined && !this.held && this.#endPause === undefined;
  }

  #send(entry: Entry): void {
    const session = this.session as QueueSession;
    const again = entry.sent !== undefined;
    entry.sent ??= this.now();
    this.flying.add(entry);
    this.keep(entry);
    session.send(entry.item, again).then(
      (result) => {
        if (this.take(entry)) entry.resolve(result);
      },
      (error: unknown) => {
        const { code, retry, metadata } = MessagingError.from(error);
        if (!retry) {
          if (this.take(entry)) entry.reject(error);
        } else if (session === this.session && this.flying.delete(entry)) {
          // Of anything but UNAVAILABLE it is known that this time has published nothing.
          if (code !== "UNAVAILABLE" && !again) entry.sent = undefined;
          this.rest(entry);
          this.keep(entry);
          this.#pause(Number(metadata?.["retry_after_ms"]) || PAUSE_MS);
        }
      },
    );
  }

  #pause(ms: number): void {
    this.#endPause ??= this.context.clock.after(ms, () => {
      this.#endPause = undefined;
      this.flush();
    });
  }

  #soon(): void {
    this.#endTimer?.();
    // Not at once: an answer that has come before the end of the session is still on its way to its promise.
    this.#endTimer = this.context.clock.after(0, () => this.#tidy());
  }

  /** Gives up what may not be sent any more, and comes back when there may be more of it. */
  #tidy(): void {
    this.#endTimer?.();
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.waiting) {
      const { born, sent } = entry;
      const left = sent
        ? this.#windowMs - MARGIN_MS - this.age(sent, true)
        : this.#bounds.ageMs - this.age(born);
      if (left > 0) next = Math.min(next, left);
      else this.fail(entry, "there was no connection in time");
    }
    if (this.waiting.size > 0) {
      this.#endTimer = this.context.clock.after(next, () => this.#tidy());
    }
  }
}

function notSent(reason: string): MessagingError {
  return new MessagingError("UNAVAILABLE", `not sent: ${reason}`);
}
