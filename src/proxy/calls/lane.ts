/**
 * Calls of one backend that share places and a circuit: only so many are under way, only so many wait, and while
 * the backend fails all the time none is made. What can be sent again without doing anything twice is.
 */
import { recordOf } from "../../channels/maps.ts";
import { BackendFailure, type Cancellation } from "../../engine/ports/backends.ts";
import type { Clock, Logger, Timers } from "../../engine/ports/platform.ts";
import { delay } from "../../engine/ports/timers.ts";
import { Slots } from "../../engine/slots.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { BackendConfig } from "../backend-config.ts";
import { Circuit, type CircuitOutcome, type Permit } from "./circuit.ts";
import { CALL_OUTCOMES, type CallLane, type CallOutcome, type LaneStats } from "./counts.ts";
import { OpenCall } from "./open-call.ts";

/** What lanes need of their host. */
export interface CallPlatform {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Called where calls are not made any more, because the backend fails. */
  readonly opened?: () => void;
}

/** A failure of a call of which the backend has seen nothing, so that it may be made again. */
export class NotSent extends BackendFailure {}

/** One call. */
export interface LaneCall<T> {
  /** How long it may take, waiting included, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether the backend may be asked the same twice. */
  readonly repeatable: boolean;
  /**
   * Asks once.
   *
   * @param timeoutMs what is left of the time, in whole milliseconds
   * @throws BackendFailure, NotSent where the backend has seen nothing of it
   */
  readonly ask: (cancellation: Cancellation, timeoutMs: number) => Promise<T>;
  /** Whether an answer says that the backend, or what stands before it, cannot work now. */
  readonly isFailing: (answer: T) => boolean;
}

/** How long until a call is sent again, in milliseconds, and as much again at most, by chance. */
const RETRY_PAUSE_MS = 50;

/** What says that a backend does not work, of why it gave no answer. */
const FAILING: ReadonlySet<CallOutcome> = new Set(["timeout", "unreachable"]);

export class Lane {
  readonly #platform: CallPlatform;
  readonly #gate: Slots;
  readonly #circuit: Circuit;
  readonly #outcomes = recordOf(CALL_OUTCOMES, () => 0);
  #retries = 0;

  constructor(name: CallLane, config: BackendConfig, platform: CallPlatform) {
    this.#platform = platform;
    this.#gate = new Slots(config.concurrency, config.queue);
    const fields = { backend: config.name, calls: name };
    this.#circuit = new Circuit(config.circuit, (state) => {
      const { logger, opened } = platform;
      if (state === "closed") {
        logger.info?.("a backend works again", fields);
        return;
      }
      logger.warn("a backend fails and is not asked for a while", fields);
      opened?.();
    });
  }

  /** @throws BackendFailure, or the refusal of a backend that states it by how the call fails */
  async run<T>(call: LaneCall<T>, cancellation: Cancellation): Promise<T> {
    let outcome: CallOutcome = "answered";
    let verdict: CircuitOutcome = "unknown";
    let permit: Permit | undefined;
    let open: OpenCall | undefined;
    let placed = false;
    try {
      const began = this.#now();
      // Before it takes a place in the queue: that is for calls that can be made.
      if (!this.#circuit.passes(began)) throw notAsked();
      open = new OpenCall(this.#platform.timers, call.timeoutMs, cancellation);
      placed = this.#gate.take();
      if (!placed) {
        await this.#queued(open, () => {
          placed = true;
        });
      }
      permit = this.#circuit.enter(this.#now());
      if (permit === undefined) throw notAsked();
      const answer = await this.#asked(call, open, permit, began + call.timeoutMs);
      const failing = call.isFailing(answer);
      verdict = failing ? "fails" : "works";
      if (failing) outcome = "status";
      return answer;
    } catch (error) {
      verdict = verdictOf(error);
      outcome = outcomeOf(error);
      throw error;
    } finally {
      if (permit !== undefined) this.#circuit.ended(permit, verdict, this.#now());
      open?.close();
      // Also where it was given while this call was being cancelled.
      if (placed) this.#gate.free();
      // An answer that makes no sense was one.
      const counted = outcome === "answer" || outcome === "field" ? "answered" : outcome;
      this.#outcomes[counted] += 1;
    }
  }

  stats(): LaneStats {
    return {
      outcomes: { ...this.#outcomes },
      retries: this.#retries,
      waiting: this.#gate.waiting,
      circuit: this.#circuit.state,
    };
  }

  /** Waits for a place. @param given is called with it, also where the call ends at the same time */
  #queued(open: OpenCall, given: () => void): Promise<void> {
    return open.until(
      () =>
        new Promise<void>((ready) => {
          const leave = this.#gate.wait(() => {
            given();
            ready();
          });
          if (leave === undefined) throw busy();
          open.onCancel(leave);
        }),
    );
  }

  /** Asks, and once again where that may be done. What finds out whether the backend works is sent once. */
  async #asked<T>(call: LaneCall<T>, open: OpenCall, permit: Permit, ends: number): Promise<T> {
    const ask = () => open.until(() => call.ask(open, Math.max(1, Math.floor(ends - this.#now()))));
    if (permit.probe) return await ask();
    try {
      const answer = await ask();
      if (!call.repeatable || !call.isFailing(answer)) return answer;
    } catch (error) {
      if (!this.#mayRepeat(call, error)) throw error;
    }
    this.#retries += 1;
    await open.until(() => this.#pause());
    return await ask();
  }

  #mayRepeat<T>({ repeatable }: LaneCall<T>, error: unknown): boolean {
    if (error instanceof NotSent) return true;
    return repeatable && error instanceof BackendFailure && error.reason === "unreachable";
  }

  #pause(): Promise<void> {
    return delay(this.#platform.timers, RETRY_PAUSE_MS * (1 + Math.random()));
  }

  #now(): number {
    const { clock } = this.#platform;
    return clock.steady?.() ?? clock.now();
  }
}

/** How a call that has thrown this is counted. */
function outcomeOf(error: unknown): CallOutcome {
  if (error instanceof BackendFailure) return error.reason;
  return error instanceof MessagingError ? "answered" : "unreachable";
}

/** What it says of the backend. */
function verdictOf(error: unknown): CircuitOutcome {
  // A refusal that is stated is an answer.
  if (error instanceof MessagingError) return "works";
  if (!(error instanceof BackendFailure)) return "fails";
  if (error.reason === "cancelled") return "unknown";
  return FAILING.has(error.reason) ? "fails" : "works";
}

function notAsked(): BackendFailure {
  return new BackendFailure("circuit_open", "it fails all the time, and is not asked for a while");
}

function busy(): BackendFailure {
  return new BackendFailure("busy", "as many calls wait for it as may");
}
