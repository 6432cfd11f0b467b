/** Looks after sessions that have fallen silent, and has the broker forget what it need not keep. */
import type { Engine } from "../engine/engine.ts";
import type { Logger } from "../engine/ports/platform.ts";
import { formatDuration } from "../engine/settings/duration.ts";
import { sweep } from "./hosted-broker.ts";

/** Longest and shortest time between two looks for silent sessions, in milliseconds. */
const SWEEP_MS = 60_000;
const MIN_SWEEP_MS = 250;
/** Below this idle timeout a client may be closed that does all it can, in milliseconds. */
const SAFE_SILENCE_MS = 90_000;

export class SilenceWatch {
  readonly #engine: Engine;
  readonly #logger: Logger;
  #sweep: NodeJS.Timeout | undefined;
  #expiring: NodeJS.Immediate | undefined;
  /** When the next look comes, by the steady clock in milliseconds; undefined while it watches nothing. */
  #due: number | undefined;

  constructor(engine: Engine, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
  }

  start(): void {
    this.#warnOfShortSilence();
    this.#schedule(MIN_SWEEP_MS);
  }

  stop(): void {
    this.#due = undefined;
    clearTimeout(this.#sweep);
    clearImmediate(this.#expiring);
  }

  /** Has the next look come at this time of the steady clock, in milliseconds, if it would come later. */
  lookBy(at: number): void {
    if (this.#due === undefined || this.#due <= at) return;
    clearTimeout(this.#sweep);
    this.#schedule(Math.max(MIN_SWEEP_MS, at - this.#engine.steadyNow()));
  }

  /** Looks when the first session can be due. */
  #schedule(ms: number): void {
    this.#due = this.#engine.steadyNow() + ms;
    this.#sweep = setTimeout(() => {
      // What waits in the sockets is read before any client counts as silent.
      this.#expiring = setImmediate(() => this.#look());
    }, ms).unref();
  }

  #look(): void {
    const { connect, idle, token } = this.#engine.expire();
    sweep(this.#engine.broker, this.#logger);
    const now = this.#engine.steadyNow();
    // A client that connects between two looks must not be noticed late.
    const { connectDeadlineMs, idleTimeoutMs } = this.#engine.settings;
    const due = Math.min(
      (connect ?? idle ?? Number.POSITIVE_INFINITY) - now,
      (idle ?? Number.POSITIVE_INFINITY) - now,
      (token ?? Number.POSITIVE_INFINITY) - now,
      connectDeadlineMs,
      idleTimeoutMs,
      SWEEP_MS,
    );
    this.#schedule(Math.max(MIN_SWEEP_MS, due));
  }

  #warnOfShortSilence(): void {
    const { idleTimeoutMs } = this.#engine.settings;
    if (idleTimeoutMs >= SAFE_SILENCE_MS) return;
    this.#logger.warn(
      "clients that are alive may be closed for silence: a browser pings once a minute in a hidden tab",
      {
        idle_timeout: formatDuration(idleTimeoutMs),
        at_least: formatDuration(SAFE_SILENCE_MS),
      },
    );
  }
}
