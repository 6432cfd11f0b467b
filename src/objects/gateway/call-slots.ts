/**
 * How many calls of one kind a gateway makes at the same time. Hundreds at once would keep all other clients of
 * the gateway waiting, and each of them past its deadline.
 */
import type { Timers } from "../../engine/ports/platform.ts";
import { Slots } from "../../engine/slots.ts";
import type { Turn } from "./turn.ts";

/** Calls that are made at the same time. */
const TOGETHER = 16;
/** An object that has not answered for so long keeps no other call waiting, in milliseconds. */
const PLACE_MS = 1_000;

/**
 * @example
 * const questions = new CallSlots(turn, timers);
 * await questions.run(() => stub.history(request)); // at once, or when one of sixteen calls has ended
 */
export class CallSlots {
  readonly #slots = new Slots(TOGETHER);
  readonly #turn: Turn;
  readonly #timers: Timers;

  constructor(turn: Turn, timers: Timers) {
    this.#turn = turn;
    this.#timers = timers;
  }

  /** Calls that wait for a place. */
  get waiting(): number {
    return this.#slots.waiting;
  }

  /** Makes a call when there is a place for it. Calls begin in the order of their asking. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (!this.#slots.take()) {
      await this.#slots.next();
      // Sockets are looked at when there is nothing else to do: a timer is such a moment.
      await this.#turn.next();
    }
    let placed = true;
    const leave = (): void => {
      if (placed) this.#slots.free();
      placed = false;
    };
    const cancel = this.#timers.after(PLACE_MS, leave);
    try {
      return await call();
    } finally {
      cancel();
      leave();
    }
  }
}
