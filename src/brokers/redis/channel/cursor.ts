/**
 * How far a node is in one channel: what goes on from there is handed over, and before anything else the log is read.
 * `cursor-state.ts` decides; here are the calls, the waits and what waits to be handed over. That is done one turn
 * later, so that what one turn brings is one batch.
 */
import type { BrokerHandler, Position, PresenceSnapshot } from "../../../engine/ports/broker.ts";
import type { Timers } from "../../../engine/ports/platform.ts";
import { MAX_QUEUED_BYTES } from "../../../protocol/limits.ts";
import type { Notice, Place } from "../reply.ts";
import {
  add,
  ask,
  begunAt,
  begunBy,
  type CatchUp,
  type CursorState,
  caughtUp,
  type Delivery,
  following,
  heard,
  isBehind,
  isPlaced,
  isUnheard,
  type Opened,
  opened,
  type Placed,
  reading,
  UNKNOWN,
} from "./cursor-state.ts";

/** How long what is in the log may take to be heard, in milliseconds. */
export const HEARING_MS = 1_000;

export interface CursorHost {
  readonly channel: string;
  readonly timers: Timers;
  handler(): BrokerHandler | undefined;
  /** Sees to it that `flush` is called in the next turn. */
  flushSoon(): void;
  /**
   * Reads what comes after a place; tries until it succeeds or `over` says that nobody cares.
   *
   * @throws what no repetition mends
   */
  catchUp(from: Place, over: () => boolean): Promise<CatchUp | undefined>;
  /** The same. */
  presence(over: () => boolean): Promise<PresenceSnapshot | undefined>;
  /**
   * Another life of the log has begun: what Redis knew of the node's members may be gone with the old.
   * Resolves when it knows them, or cannot learn of them now. Never rejects.
   */
  moved(): Promise<void>;
  /** Hears of what failed and is tried again when the channel is looked at. */
  failed(error: unknown): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class RedisCursor {
  readonly #host: CursorHost;
  #state: CursorState = UNKNOWN;
  #handed: Position | undefined;
  /** What was heard and cannot be handed over yet. */
  #kept: Notice[] = [];
  #keptBytes = 0;
  /** Settles when nothing is read any more. */
  #reading: Promise<void> | undefined;
  /** Ends the wait for an entry. */
  #wake: (() => void) | undefined;
  /** What waits for the next turn. */
  #out: Delivery[] = [];
  /** Counts the times that everything was forgotten. */
  #round = 0;

  constructor(host: CursorHost) {
    this.#host = host;
  }

  /** The last position that was handed over. */
  get position(): Position | undefined {
    return this.#handed;
  }

  /** What is known of the log; without an offset where only changes of presence were heard. */
  get log() {
    return this.#state.name === "unknown" ? undefined : this.#state.log;
  }

  /** Whether it is known where the node is in the log. */
  get placed(): boolean {
    return isPlaced(this.#state);
  }

  /** Takes what was heard. Nobody here has asked where the channel is: where it is unknown, it begins with that. */
  takeFirst(notice: Notice): void {
    if (this.#state.name === "unknown") this.#begin(begunBy(this.#kept[0] ?? notice));
    this.take(notice);
  }

  /** Keeps what is heard of a channel that has no place, until it is known what came before. */
  wait(notice: Notice): void {
    if (this.#state.name !== "unknown") this.#enter(UNKNOWN);
    this.take(notice);
  }

  /** Nothing came before what was kept. */
  beginHeard(): void {
    const [first] = this.#kept;
    if (this.#state.name === "unknown" && first !== undefined) this.#begin(begunBy(first));
  }

  /** Begins after a place. */
  beginAt(place: Place): void {
    this.#begin(begunAt(this.#state, place));
  }

  /** Nobody here wants the channel any more: what comes later is another story. */
  reset(): void {
    this.#round += 1;
    this.#reading = undefined;
    this.#handed = undefined;
    this.#out = [];
    this.#hold([]);
    this.#enter(UNKNOWN);
  }

  /**
   * The channel has answered a registration.
   *
   * @returns what subscribers take as the head
   */
  async opened(answer: Opened): Promise<Position> {
    const { epoch, offset } = answer.place;
    if (!isPlaced(this.#state)) {
      const state = opened(this.#state, answer, this.#kept);
      this.#handed = positionOf(state.log);
      this.#begin(state);
    } else if (this.#state.log.epoch !== epoch) await this.catchUp();
    const state: CursorState = this.#state;
    const moved = isPlaced(state) && state.log.epoch !== epoch;
    return moved ? positionOf(state.log) : { epoch, offset };
  }

  /** Offset of the first entry of a log that was heard before it was known where the node is. */
  firstHeard(epoch: string): number | undefined {
    return this.#kept.find(({ kind, place }) => kind === "entry" && place.epoch === epoch)?.place
      .offset;
  }

  /** Takes what was heard. */
  take(notice: Notice): void {
    const { state, delivery, kept } = heard(this.#state, notice);
    if (delivery !== undefined) this.#push(delivery);
    this.#enter(kept && this.#keep(notice) ? ask(state) : state);
  }

  /** Whether a channel has gone further than what was heard of it. */
  behind(answer: Opened): boolean {
    return isBehind(this.#state, answer);
  }

  /**
   * Reads what comes after the last place. Resolves when it waits for the next turn, is not wanted, or cannot be had
   * now: what was heard is kept, and the next message or look at the channel tries again. Never rejects.
   */
  async catchUp(): Promise<void> {
    this.#enter(ask(this.#state));
    await this.#reading;
  }

  /** Hands over what waits. */
  flush(): void {
    const out = this.#out;
    const later: Delivery[] = [];
    this.#out = later;
    for (const delivery of out) {
      // A handler may end the node's interest, which forgets what waits.
      if (this.#out !== later) return;
      this.#handOver(delivery);
    }
  }

  #handOver(delivery: Delivery): void {
    const { channel } = this.#host;
    const handler = this.#host.handler();
    if (delivery.kind === "entries") {
      const { epoch, entries } = delivery;
      this.#handed = { epoch, offset: Number(entries.at(-1)?.offset ?? 0) };
      handler?.publications(channel, epoch, entries);
    } else if (delivery.kind === "gap") {
      this.#handed = delivery.gap.until;
      handler?.gap(channel, delivery.gap);
    } else if (delivery.kind === "presence") {
      handler?.presence(channel, delivery.epoch, delivery.changes);
    } else {
      handler?.presenceLost(channel, delivery.snapshot.epoch, delivery.snapshot);
    }
  }

  /** Enters a state, and does what it asks for. */
  #enter(state: CursorState): void {
    const before = this.#state;
    this.#state = state;
    if (before.name === "hearing" && state.name !== "hearing") this.#wake?.();
    if (state.name === "reading") this.#reading ??= this.#read();
  }

  /** Where the node is, is known from now on: what was kept is heard again. */
  #begin(state: CursorState): void {
    this.#enter(state);
    for (const notice of this.#hold([])) this.take(notice);
  }

  /** Reads until there is nothing to read. Never rejects. */
  async #read(): Promise<void> {
    const round = this.#round;
    const over = (): boolean => round !== this.#round;
    try {
      while (this.#state.name === "reading") {
        if (!(await this.#readOnce(over))) break;
      }
    } catch (error) {
      this.#host.failed(error);
    }
    if (over()) return;
    this.#reading = undefined;
    if (isPlaced(this.#state)) this.#state = following(this.#state);
  }

  /** Returns false once nobody cares. */
  async #readOnce(over: () => boolean): Promise<boolean> {
    const from = reading(this.#placed);
    this.#state = from;
    // What was kept before the log is read is known then, or was of a log that has ended.
    const before = this.#kept;
    const known = before.length;
    const found = await this.#host.catchUp(from.log, over);
    if (found === undefined || over()) return false;
    if (isUnheard(from, found, this.#kept)) await this.#hear(found.place);
    if (over()) return false;
    const { state, deliveries, moved, lacksPresence } = caughtUp(this.#placed, found, this.#kept);
    this.#state = state;
    for (const delivery of deliveries) this.#push(delivery);
    // Too much may have come meanwhile, and what was kept before is forgotten then.
    this.#hold(this.#kept === before ? before.slice(known) : this.#kept);
    if (moved) await this.#host.moved();
    if (lacksPresence && !over()) await this.#readPresence(over);
    if (over()) return false;
    // Meanwhile there was more.
    const { again } = this.#placed;
    this.#begin(following(this.#placed));
    if (again) this.#enter(ask(this.#state));
    return true;
  }

  /** Waits for an entry that is in no log. */
  async #hear(place: Place): Promise<void> {
    this.#state = { ...this.#placed, name: "hearing", awaited: place };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const cancel = this.#host.timers.after(HEARING_MS, () => {
      this.#enter(reading(this.#placed, this.#placed.again));
    });
    await promise;
    cancel();
  }

  async #readPresence(over: () => boolean): Promise<void> {
    const snapshot = await this.#host.presence(over);
    const state = this.#state;
    if (snapshot === undefined || over() || !isPlaced(state)) return;
    if (snapshot.epoch !== state.log.epoch) return;
    this.#state = { ...state, presence: snapshot.generation };
    this.#push({ kind: "snapshot", snapshot });
  }

  /** Where the node is while it reads. */
  get #placed(): Placed {
    if (isPlaced(this.#state)) return this.#state;
    throw new Error("a cursor without a place reads");
  }

  #push(delivery: Delivery): void {
    if (delivery.kind === "gap" && delivery.gap.reason !== "epoch_changed") {
      const { reason, after, until } = delivery.gap;
      this.#host.warn("hole in a channel", { reason, from: after?.offset, until: until.offset });
    }
    if (this.#out.length === 0) this.#host.flushSoon();
    add(this.#out, delivery);
  }

  /** Returns whether it was too much, and all that came before is forgotten. */
  #keep(notice: Notice): boolean {
    this.#kept.push(notice);
    this.#keptBytes += notice.bytes;
    if (this.#keptBytes <= MAX_QUEUED_BYTES) return false;
    this.#hold([notice]);
    return true;
  }

  /** Replaces what is kept. Returns what was. */
  #hold(kept: Notice[]): Notice[] {
    const former = this.#kept;
    this.#kept = kept;
    this.#keptBytes = kept.reduce((bytes, notice) => bytes + notice.bytes, 0);
    return former;
  }
}

function positionOf({ epoch, offset }: Place): Position {
  return { epoch, offset };
}
