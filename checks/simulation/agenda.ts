/**
 * The time of a simulation, which passes from one event to the next. What is due at the same time comes in the order in
 * which it was asked for, and all that follows from an event by promises comes before the next one.
 */
import type { Clock, Timers } from "../../src/engine/ports/platform.ts";

/** Unix milliseconds. */
const BEGINNING = 1_700_000_000_000;

interface Due {
  /** Milliseconds since the beginning. */
  readonly at: number;
  readonly number: number;
  /** Undefined where it was called off. */
  run: (() => void) | undefined;
}

export class Agenda implements Clock, Timers {
  /** Milliseconds since the beginning, with fractions. */
  time = 0;
  /** A heap: each comes before the two at twice its place. */
  readonly #due: Due[] = [];
  #number = 0;

  // Functions, not methods: ports are taken apart by those who use them.
  readonly now = (): number => BEGINNING + Math.floor(this.time);

  readonly after = (ms: number, callback: () => void): (() => void) =>
    this.at(this.time + Math.max(ms, 0), callback);

  /** Has something happen at a time, in milliseconds since the beginning. Returns what calls it off. */
  at(time: number, run: () => void): () => void {
    this.#number += 1;
    const due: Due = { at: Math.max(time, this.time), number: this.#number, run };
    this.#push(due);
    return () => {
      due.run = undefined;
    };
  }

  /** Lets time pass until a time, in milliseconds since the beginning. */
  async pass(until: number): Promise<void> {
    for (let due = this.#due[0]; due !== undefined && due.at <= until; due = this.#due[0]) {
      this.#pop();
      if (due.run === undefined) continue;
      this.time = due.at;
      due.run();
      await new Promise(setImmediate);
    }
    this.time = Math.max(this.time, until);
  }

  #push(due: Due): void {
    let place = this.#due.length;
    for (; place > 0; place = (place - 1) >> 1) {
      const above = this.#due[(place - 1) >> 1] as Due;
      if (!isBefore(due, above)) break;
      this.#due[place] = above;
    }
    this.#due[place] = due;
  }

  #pop(): void {
    const last = this.#due.pop();
    if (last === undefined || this.#due.length === 0) return;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      const [left, right] = [this.#due[below], this.#due[below + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) below += 1;
      const next = this.#due[below] as Due;
      if (!isBefore(next, last)) break;
      this.#due[place] = next;
      place = below;
    }
    this.#due[place] = last;
  }
}

function isBefore(one: Due, other: Due): boolean {
  return one.at < other.at || (one.at === other.at && one.number < other.number);
}
