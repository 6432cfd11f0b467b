/**
 * Brings lifecycle events to one backend: at least once, those of one session in their order, and what it does
 * not take again and again. A session whose events it refuses holds no other, and a backend that is away is
 * asked by one request at a time until it is back.
 *
 * | state of the backend | since | requests under way at most |
 * | --- | --- | --- |
 * | well | the last request was taken, or refused for its events | 8 |
 * | away | a request has failed | none until a pause is over, which doubles from 1 s to 60 s; then one |
 */
import { background } from "../engine/background.ts";
import { errorText } from "../engine/error-text.ts";
import type { LifecycleEvent } from "../engine/ports/lifecycle.ts";
import type { Clock, Logger, Random, Timers } from "../engine/ports/platform.ts";
import { pauseAfter } from "../engine/ports/timers.ts";
import { laneOf, MAX_AGE_MS, type Outbox, type OutboxRow, type Place } from "./outbox.ts";

/** Requests that may be under way. */
const TOGETHER = 8;
/** Bytes that the events of one request have about, where there are several. */
const MAX_BATCH_BYTES = 256 * 1024;
/** Bytes of an event beside its texts. */
const EVENT_BYTES = 400;
/** Events that are read at a time, and those that are held while their sessions wait. */
const PAGE = 500;
const MAX_WINDOW = 20_000;
/** Requests that were not taken and are to be repeated; with so many no other is begun. */
const MAX_HELD = 1_000;
/** After a failure. Each is cut by up to a half. */
const PAUSES = { firstMs: 1_000, longestMs: 60_000 };
/** The least time between two lines of the log about what was not taken, in milliseconds. */
const WARN_EVERY_MS = 60_000;
/** How long until an outbox that could not be read is read again, in milliseconds. */
const READ_AGAIN_MS = 1_000;

/** Why a backend has not taken what it was sent. */
export interface Problem {
  /** For the log. */
  readonly text: string;
  /** Whether it says that what it was sent is at fault, so that the same may go on for others. */
  readonly refused: boolean;
}

/** A backend to which lifecycle events are reported. */
export interface HookBackend {
  /** Names it in the log. */
  readonly name: string;
  /** Events that one request may carry. */
  readonly most: number;
  /** Whether an event is for it. */
  takes(event: LifecycleEvent): boolean;
  /**
   * Sends one request. Resolves with undefined where it was taken, else with why not; a rejection is a failure of the
   * backend. It MUST come to an end.
   *
   * @param id the same for every try
   */
  send(id: string, events: Events): Promise<Problem | undefined>;
}

/** At least one, in their order. */
export type Events = readonly [LifecycleEvent, ...LifecycleEvent[]];

export interface CourierHost {
  readonly outbox: Pick<Outbox, "read" | "remove">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** From 0 to 1. */
  readonly chance: () => number;
  /** Whether an event is for no backend: then it is removed. */
  unwanted(event: LifecycleEvent): boolean;
}

/** Events of some sessions, which travel together. */
interface Parcel {
  /** The same for every try. */
  readonly id: string;
  readonly rows: readonly OutboxRow[];
  failures: number;
  /** Unix milliseconds. */
  dueAt: number;
}

export class Courier {
  readonly #host: CourierHost;
  readonly #backend: HookBackend;
  /** What has been read and is not under way. */
  #window: OutboxRow[] = [];
  /** The last place that has been read. */
  #read: Place | undefined;
  /** Whether there may be more to read, and how often that was said. */
  #more = true;
  #woken = 0;
  #reading = false;
  /** Sessions and channels with events that are under way or held. */
  readonly #busy = new Set<string>();
  /** What was not taken, to be tried again. */
  #held: Parcel[] = [];
  #flying = 0;
  /** Failures of the backend in a row, of all kinds of events. */
  #failures = 0;
  /** When it may be asked again, Unix milliseconds. */
  #resumeAt = 0;
  /** When the log had the last line of a failure, Unix milliseconds. */
  #warnedAt = Number.NEGATIVE_INFINITY;
  /** When the outbox may be read again, Unix milliseconds. */
  #readAgainAt = 0;
  #cancel: (() => void) | undefined;
  #ended = false;
  delivered = 0;
  failed = 0;
  expired = 0;

  constructor(host: CourierHost, backend: HookBackend) {
    this.#host = host;
    this.#backend = backend;
  }

  /** Something may be there to be brought. */
  wake(): void {
    this.#woken += 1;
    this.#more = true;
    this.#pump();
  }

  /** Brings nothing more; what is under way may still arrive. */
  end(): void {
    this.#ended = true;
    this.#cancel?.();
  }

  #pump(): void {
    if (this.#ended) return;
    while (this.#flying < this.#width) {
      const parcel = this.#next();
      if (parcel === undefined) break;
      background(this.#send(parcel), this.#host.logger, "telling a backend of lifecycle events");
    }
    const { clock, logger } = this.#host;
    const empty = this.#window.length === 0;
    const wants = this.#flying < TOGETHER && this.#window.length < MAX_WINDOW;
    const may = this.#held.length < MAX_HELD && isDue(this.#readAgainAt, clock.now());
    if (wants && may && this.#more && !this.#reading && (this.#failures === 0 || empty)) {
      background(this.#fill(), logger, "reading lifecycle events");
    }
    this.#watch();
  }

  /** Requests that may be under way now. */
  get #width(): number {
    if (this.#failures === 0) return TOGETHER;
    return isDue(this.#resumeAt, this.#host.clock.now()) ? 1 : 0;
  }

  /** What may be sent now, those first that wait for the longest time. */
  #next(): Parcel | undefined {
    const now = this.#host.clock.now();
    for (;;) {
      const due = this.#held.findIndex(({ dueAt }) => isDue(dueAt, now));
      const parcel = due < 0 ? this.#pack(now) : this.#held.splice(due, 1)[0];
      if (parcel === undefined || !isOld(parcel.rows[0], now)) return parcel;
      this.expired += parcel.rows.length;
      this.#settle(parcel);
    }
  }

  /** Takes what comes next out of the window, and leaves there what must not overtake. */
  #pack(now: number): Parcel | undefined {
    if (this.#held.length >= MAX_HELD) return undefined;
    const { most } = this.#backend;
    const rows: OutboxRow[] = [];
    const left: OutboxRow[] = [];
    const mine = new Set<string>();
    let bytes = 0;
    let at = 0;
    for (; at < this.#window.length && rows.length < most; at++) {
      const row = this.#window[at] as OutboxRow;
      const lane = laneOf(row.event);
      if (this.#busy.has(lane) && !mine.has(lane)) {
        left.push(row);
        continue;
      }
      bytes += sizeOf(row.event);
      const fits = bytes <= MAX_BATCH_BYTES && isOld(row, now) === isOld(rows[0] ?? row, now);
      if (rows.length > 0 && !fits) break;
      this.#busy.add(lane);
      mine.add(lane);
      rows.push(row);
    }
    this.#window = [...left, ...this.#window.slice(at)];
    return rows.length === 0 ? undefined : this.#parcel(rows);
  }

  /** A single event has its own id, which is the same in every life of the host. */
  #parcel(rows: readonly OutboxRow[], failures = 0, dueAt = 0): Parcel {
    const [first, second] = rows;
    const id = first !== undefined && second === undefined ? first.event.id : undefined;
    return { id: id ?? this.#host.random.uuid(), rows, failures, dueAt };
  }

  async #send(parcel: Parcel): Promise<void> {
    this.#flying += 1;
    let problem: Problem | undefined;
    try {
      const events = parcel.rows.map(({ event }) => event) as [LifecycleEvent];
      problem = await this.#backend.send(parcel.id, events);
    } catch (error) {
      problem = { text: errorText(error), refused: false };
    }
    this.#flying -= 1;
    if (problem === undefined) {
      this.#failures = 0;
      this.delivered += parcel.rows.length;
      this.#settle(parcel);
    } else this.#hold(parcel, problem);
    this.#pump();
  }

  /** Has it sent again: what a backend refuses may be one session's fault, anything else is the backend's. */
  #hold(parcel: Parcel, { text, refused }: Problem): void {
    const { clock, logger } = this.#host;
    const now = clock.now();
    const failures = parcel.failures + 1;
    this.failed += 1;
    if (refused) this.#failures = 0;
    else {
      this.#failures += 1;
      this.#resumeAt = now + this.#pause(this.#failures);
    }
    if (now - this.#warnedAt >= WARN_EVERY_MS) {
      this.#warnedAt = now;
      const fields = { backend: this.#backend.name, events: parcel.rows.length, problem: text };
      logger.warn("a backend has not taken lifecycle events, which are sent again", fields);
    }
    const dueAt = now + this.#pause(failures);
    const lanes = new Set(parcel.rows.map(({ event }) => laneOf(event)));
    if (!refused || lanes.size === 1) {
      this.#held.push({ ...parcel, failures, dueAt });
      return;
    }
    // Each session for itself, so that the one that is at fault holds no other.
    for (const lane of lanes) {
      const rows = parcel.rows.filter(({ event }) => laneOf(event) === lane);
      this.#held.push(this.#parcel(rows, 0, now));
    }
  }

  /** Nothing more becomes of these events. */
  #settle({ rows }: Parcel): void {
    for (const { event } of rows) this.#busy.delete(laneOf(event));
    this.#host.outbox.remove(rows);
  }

  #pause(failures: number): number {
    return pauseAfter(failures, PAUSES) * (1 - this.#host.chance() / 2);
  }

  async #fill(): Promise<void> {
    const { outbox } = this.#host;
    const woken = this.#woken;
    this.#reading = true;
    try {
      const { rows, next } = await outbox.read(this.#read, PAGE);
      this.#window.push(...rows.filter(({ event }) => this.#backend.takes(event)));
      const nobodys = rows.filter(({ event }) => this.#host.unwanted(event));
      if (nobodys.length > 0) outbox.remove(nobodys);
      this.#read = next ?? this.#read;
      if (next === undefined && woken === this.#woken) this.#more = false;
    } catch (error) {
      const fields = { backend: this.#backend.name, error: errorText(error) };
      this.#host.logger.warn("lifecycle events cannot be read", fields);
      this.#readAgainAt = this.#host.clock.now() + READ_AGAIN_MS;
    } finally {
      this.#reading = false;
    }
    this.#pump();
  }

  /** Sees to it that it goes on when the next pause is over. */
  #watch(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const now = this.#host.clock.now();
    const times = this.#held.map(({ dueAt }) => Math.max(dueAt, this.#resumeAt));
    if (this.#failures > 0 && this.#window.length > 0) times.push(this.#resumeAt);
    if (this.#more) times.push(this.#readAgainAt);
    const due = times.filter((at) => !isDue(at, now));
    if (due.length === 0) return;
    this.#cancel = this.#host.timers.after(Math.min(...due) - now, () => this.#pump());
  }
}

/** No pause is longer than the longest: what seems to be was set before the clock was set back. */
function isDue(at: number, now: number): boolean {
  return at <= now || at > now + PAUSES.longestMs;
}

function isOld(row: OutboxRow | undefined, now: number): boolean {
  return row !== undefined && row.event.time < now - MAX_AGE_MS;
}

function sizeOf({
  sessionId,
  userId,
  clientId,
  clientType,
  channel,
  reason,
}: LifecycleEvent): number {
  const texts = [sessionId, userId, clientId, clientType, channel, reason];
  return texts.reduce((sum, text) => sum + text.length, EVENT_BYTES);
}
