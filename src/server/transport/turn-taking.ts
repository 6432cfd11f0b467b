/**
 * Clients take turns. What has arrived in all sockets is read in one turn of the event loop, and that may be megabytes
 * of each: so the frames of a turn are taken until its time is used up. The others wait, one of each client
 * after the other gets its turn, and meanwhile their sockets are not read, unless a single small frame waits.
 */
import type { Frame } from "../../protocol/codec.ts";

/** How long a turn may take frames before the others have to wait, in milliseconds. */
const TURN_MS = 10;
/**
 * A frame of at most so many bytes, or units of text, that waits alone is no reason to stop reading. Clients that
 * connect send the next one after its answer, and to stop and go on costs as much as a small frame does.
 */
const SMALL = 4_096;

/** Where frames come from. */
export interface Source {
  /** Reads nothing more. What was read before may still arrive. */
  hold(): void;
  /** Reads on. */
  release(): void;
}

/** A connection that waits for its turn. */
export interface Waiter {
  /** Takes one thing of those that wait. Returns whether there are more. */
  takeOne(): boolean;
}

/** The event loop's time, shared by all readers. */
export class Turns {
  readonly #waiting = new Set<Waiter>();
  /** When the time of this turn is used up; undefined before its first frame. */
  #until: number | undefined;
  #scheduled = false;

  /** Whether there is time for one more frame in this turn. */
  get open(): boolean {
    const now = performance.now();
    if (this.#until === undefined) {
      this.#until = now + TURN_MS;
      this.#schedule();
    }
    return now < this.#until;
  }

  /** Something waits there. */
  wait(waiter: Waiter): void {
    this.#waiting.add(waiter);
    this.#schedule();
  }

  /** Nothing does any more. */
  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#next();
    });
  }

  /** One frame of each after the other, as long as there is time. */
  #next(): void {
    this.#until = performance.now() + TURN_MS;
    for (const waiter of this.#waiting) {
      // To the end of the line, whose end this loop therefore does not meet.
      this.#waiting.delete(waiter);
      if (waiter.takeOne()) this.#waiting.add(waiter);
      if (performance.now() >= this.#until) break;
    }
    this.#until = undefined;
    if (this.#waiting.size > 0) this.#schedule();
  }
}

/** Takes the frames of one client, in their order. */
export class FrameReader implements Waiter {
  readonly #turns: Turns;
  readonly #source: Source;
  readonly #take: (frame: Frame) => void;
  /** Frames that wait, of which so many are taken; undefined most of the time. */
  #frames: Frame[] | undefined;
  #taken = 0;
  #held = false;

  /** @param take must not throw */
  constructor(turns: Turns, source: Source, take: (frame: Frame) => void) {
    this.#turns = turns;
    this.#source = source;
    this.#take = take;
  }

  /** A frame has arrived: it is taken now or in a later turn. */
  receive(frame: Frame): void {
    if (this.#frames !== undefined) {
      this.#frames.push(frame);
      this.#hold();
    } else if (this.#turns.open) {
      this.#take(frame);
    } else {
      this.#frames = [frame];
      this.#turns.wait(this);
      if (frame.length > SMALL) this.#hold();
    }
  }

  takeOne(): boolean {
    const frame = this.#frames?.[this.#taken];
    if (frame === undefined) return false;
    this.#taken += 1;
    const more = this.#taken < (this.#frames?.length ?? 0);
    if (!more) this.#empty();
    this.#take(frame);
    return more;
  }

  /** Nothing more arrives: takes all that waits. */
  finish(): void {
    const waiting = this.#frames?.slice(this.#taken) ?? [];
    if (waiting.length === 0) return;
    this.#turns.leave(this);
    this.#empty();
    for (const frame of waiting) this.#take(frame);
  }

  #hold(): void {
    if (this.#held) return;
    this.#held = true;
    this.#source.hold();
  }

  #empty(): void {
    this.#frames = undefined;
    this.#taken = 0;
    if (!this.#held) return;
    this.#held = false;
    this.#source.release();
  }
}
