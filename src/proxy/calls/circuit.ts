/**
 * A circuit breaker: a backend that fails all the time is not asked for a while, and then by one call alone,
 * which finds out whether it works again.
 *
 * | state | a call | works | fails |
 * | --- | --- | --- | --- |
 * | `closed` | goes through | failures are counted from zero | `open`, after `failures` in a row |
 * | `open` | is refused; the first one after `pauseMs` goes through, and the state is `half_open` | | |
 * | `half_open` | is refused | `closed` | `open`, for another `pauseMs` |
 *
 * The last two columns are about the calls that the state has let through. One that says nothing of the backend leads from
 * `half_open` to `open`, where the next call goes through.
 */
import type { CircuitConfig } from "../backend-config.ts";
import type { CircuitState } from "./counts.ts";

/** How a call ended: `unknown` says nothing of the backend, as where the client left. */
export type CircuitOutcome = "works" | "fails" | "unknown";

/** A call that was let through. */
export interface Permit {
  readonly probe: boolean;
}

const ORDINARY: Permit = { probe: false };
const PROBE: Permit = { probe: true };

export class Circuit {
  readonly #config: CircuitConfig;
  readonly #changed: (state: "closed" | "open") => void;
  /** Calls in a row that failed. */
  #failures = 0;
  /** Since when nothing is let through; undefined while everything is. */
  #openedAt: number | undefined;
  #probing = false;

  /** @param changed is called at each opening and closing */
  constructor(config: CircuitConfig, changed: (state: "closed" | "open") => void) {
    this.#config = config;
    this.#changed = changed;
  }

  get state(): CircuitState {
    if (this.#openedAt === undefined) return "closed";
    return this.#probing ? "half_open" : "open";
  }

  /** Whether a call would be let through, at a time in milliseconds. */
  passes(now: number): boolean {
    if (this.#openedAt === undefined) return true;
    // A clock that was set back must not keep it open.
    const waited = now - this.#openedAt;
    return !this.#probing && (waited < 0 || waited >= this.#config.pauseMs);
  }

  /** Lets a call through, or undefined. Each that was let through is given to `ended`. */
  enter(now: number): Permit | undefined {
    if (!this.passes(now)) return undefined;
    if (this.#openedAt === undefined) return ORDINARY;
    this.#probing = true;
    return PROBE;
  }

  ended({ probe }: Permit, outcome: CircuitOutcome, now: number): void {
    if (probe) this.#probed(outcome, now);
    // What began before the circuit opened says nothing of now.
    else if (this.#openedAt === undefined) this.#counted(outcome, now);
  }

  #probed(outcome: CircuitOutcome, now: number): void {
    this.#probing = false;
    if (outcome === "fails") this.#openedAt = now;
    if (outcome !== "works") return;
    this.#openedAt = undefined;
    this.#failures = 0;
    this.#changed("closed");
  }

  #counted(outcome: CircuitOutcome, now: number): void {
    if (outcome === "works") this.#failures = 0;
    if (outcome !== "fails") return;
    this.#failures += 1;
    if (this.#failures < this.#config.failures) return;
    this.#openedAt = now;
    this.#changed("open");
  }
}
