/**
 * Looks at all of many things in turn, a few at a time, on a timer of its own: however many there are, no
 * look takes long. The timer stands still while there is nothing to look at.
 */
import type { Timers } from "../../engine/ports/platform.ts";

/** Things that one look takes. */
const LOOKED_AT = 1_000;
/** How long it takes to look at all of them while that takes no haste, in milliseconds. */
const ROUND_MS = 30_000;
/** Longest and shortest time between two looks, in milliseconds. */
const LONGEST_MS = 1_000;
const SHORTEST_MS = 50;
/** The same where much of the last look was to be dropped. */
const HASTE_MS = 10;

export interface SweeperOptions<Thing> {
  /** In an order of their own; may grow and shrink while they are looked at. */
  readonly things: ReadonlyMap<string, Thing>;
  readonly timers: Timers;
  /** Looks at one, and returns whether it was dropped. */
  look(thing: Thing): boolean;
}

export class Sweeper<Thing> {
  readonly #options: SweeperOptions<Thing>;
  /** Where the round is. */
  #round: Iterator<Thing> | undefined;
  #waiting = false;

  constructor(options: SweeperOptions<Thing>) {
    this.#options = options;
  }

  /** There is something to look at, now or later. */
  start(): void {
    this.#wait(LONGEST_MS);
  }

  /** Looks at the next of them: at all, where they are few. Returns how many were dropped. */
  sweep(): number {
    const { things, look } = this.#options;
    const most = Math.min(LOOKED_AT, things.size);
    let dropped = 0;
    for (let looked = 0; looked < most && things.size > 0; ) {
      this.#round ??= things.values();
      const next = this.#round.next();
      if (next.done) this.#round = undefined;
      else {
        looked += 1;
        if (look(next.value)) dropped += 1;
      }
    }
    return dropped;
  }

  #wait(ms: number): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const sweepNext = (): void => {
      this.#waiting = false;
      const dropped = this.sweep();
      const { size } = this.#options.things;
      if (size === 0) return;
      const pace = Math.ceil((ROUND_MS * LOOKED_AT) / size);
      const haste = dropped > LOOKED_AT / 4;
      this.#wait(haste ? HASTE_MS : Math.min(LONGEST_MS, Math.max(SHORTEST_MS, pace)));
    };
    this.#options.timers.after(ms, sweepNext);
  }
}
