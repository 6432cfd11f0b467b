/**
 * Where an object runs: it does one thing after the other, and is awake while it works, waits for the answer to a call or
 * has a timer. Its lives come and go.
 */
import type { Logger, Timers } from "../../src/engine/ports/platform.ts";
import type { ObjectPlatform } from "../../src/objects/ports/platform.ts";
import type { Region } from "../../src/worker/placement.ts";
import type { Agenda } from "./agenda.ts";

export class Machine {
  readonly region: Region;
  readonly agenda: Agenda;
  /** Until when it works on what it has taken, in milliseconds since the beginning. */
  busyUntil = 0;
  /** How long it has worked, in milliseconds. */
  busyMs = 0;
  #awakeMs = 0;
  /** Up to here its time awake is counted. */
  #countedUntil = 0;
  /** Calls and timers that it waits for. */
  #waits = 0;

  constructor(agenda: Agenda, region: Region) {
    this.agenda = agenda;
    this.region = region;
  }

  /** How long it was awake, in milliseconds. */
  get awakeMs(): number {
    if (this.#waits > 0) this.#countTo(this.agenda.time);
    return this.#awakeMs;
  }

  /** It waits for something. Ends with `heard`. */
  wait(): void {
    if (this.#waits > 0) this.#countTo(this.agenda.time);
    else this.#countedUntil = Math.max(this.#countedUntil, this.agenda.time);
    this.#waits += 1;
  }

  heard(): void {
    this.#countTo(this.agenda.time);
    this.#waits -= 1;
  }

  /** It works for so many milliseconds, after all that it has taken before. */
  work(ms: number): void {
    const from = Math.max(this.busyUntil, this.agenda.time);
    if (this.#waits > 0) this.#countTo(this.agenda.time);
    this.busyUntil = from + ms;
    this.busyMs += ms;
    this.#countedUntil = Math.max(this.#countedUntil, from);
    this.#countTo(this.busyUntil);
  }

  /** It takes something when it has time for it, and works so long on it before anything comes of it. */
  take(ms: number, then: () => void): void {
    this.work(ms);
    if (this.busyUntil <= this.agenda.time) then();
    else this.agenda.at(this.busyUntil, then);
  }

  #countTo(time: number): void {
    if (time <= this.#countedUntil) return;
    this.#awakeMs += time - this.#countedUntil;
    this.#countedUntil = time;
  }
}

/** One life of an object on its machine. When it is over nothing goes on that it has begun. */
export class Life {
  readonly platform: ObjectPlatform;
  readonly machine: Machine;
  #over = false;
  #timers = 0;
  readonly #endings = new Set<() => void>();

  constructor(machine: Machine, logger: Logger) {
    this.machine = machine;
    const { agenda } = machine;
    const timers: Timers = { after: (ms, callback) => this.#after(ms, callback) };
    this.platform = { clock: { now: agenda.now }, logger, timers };
  }

  get over(): boolean {
    return this.#over;
  }

  /** Has something called when the life ends, in whatever it was doing. Returns what calls that off. */
  onEnd(ended: () => void): () => void {
    this.#endings.add(ended);
    return () => this.#endings.delete(ended);
  }

  end(): void {
    this.#over = true;
    for (; this.#timers > 0; this.#timers -= 1) this.machine.heard();
    for (const ended of this.#endings) ended();
    this.#endings.clear();
  }

  #after(ms: number, callback: () => void): () => void {
    const { machine } = this;
    let open = true;
    const settle = (): boolean => {
      if (!open || this.#over) return false;
      open = false;
      this.#timers -= 1;
      machine.heard();
      return true;
    };
    if (!this.#over) {
      this.#timers += 1;
      machine.wait();
    }
    const ring = (): void => {
      // It looks at its timers when it has done what it has taken.
      if (machine.busyUntil > machine.agenda.time) machine.agenda.at(machine.busyUntil, ring);
      else if (settle()) callback();
    };
    const cancel = machine.agenda.after(ms, ring);
    return () => {
      settle();
      cancel();
    };
  }
}
