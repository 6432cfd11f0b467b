/**
 * Whether Redis is there, as the node's readiness says it. Calls that find it away say so at once. A probe finds out
 * by itself, also while nobody calls: a server that hangs, and one that takes no writes. What is connected is left
 * alone: a server that goes on after a while goes on with everybody.
 *
 * | state | next probe | a call fails | a probe fails, or has no answer in time | a probe succeeds |
 * | --- | --- | --- | --- | --- |
 * | well | in `PROBE_MS` | troubled | troubled | |
 * | troubled | in `TROUBLED_PROBE_MS` | | has the newest cause | well |
 */
import { background } from "../../../engine/background.ts";
import type { Logger, Timers } from "../../../engine/ports/platform.ts";

/** Pause between two probes, in milliseconds; shorter while something is wrong. */
const PROBE_MS = 1_000;
const TROUBLED_PROBE_MS = 200;
/** Silence after which a server hangs, in milliseconds. */
const HANG_MS = 1_500;

export interface HealthHost {
  readonly timers: Timers;
  readonly logger: Logger;
  /** Calls back in the next turn of the event loop. */
  readonly nextTurn: (callback: () => void) => void;
  /** Resolves when every server has answered and takes writes. @throws RedisFailure */
  probe(): Promise<unknown>;
  /** What is wrong has changed. */
  changed(): void;
}

export class RedisHealth {
  readonly #host: HealthHost;
  /** What is wrong; undefined while nothing is. */
  #cause: string | undefined;
  #probing = false;
  #ended = false;
  #cancel: (() => void) | undefined;

  constructor(host: HealthHost) {
    this.#host = host;
  }

  /** What is wrong; undefined while nothing is. */
  get cause(): string | undefined {
    return this.#cause;
  }

  start(): void {
    this.#later(PROBE_MS);
  }

  end(): void {
    this.#ended = true;
    this.#cancel?.();
  }

  /** A call has found out that Redis is not there, or not the one to write to. A probe says when it is again. */
  failed(cause: string): void {
    if (this.#cause !== undefined) return;
    this.#set(cause);
    if (!this.#probing) this.#later(TROUBLED_PROBE_MS);
  }

  #later(ms: number): void {
    if (this.#ended) return;
    this.#cancel?.();
    this.#cancel = this.#host.timers.after(ms, () => {
      background(this.#probe(), this.#host.logger, "the probe of Redis");
    });
  }

  async #probe(): Promise<void> {
    const { nextTurn, timers } = this.#host;
    this.#probing = true;
    let answered = false;
    const late = (): void => {
      // A process that was held up itself reads what has come meanwhile before it blames the server.
      nextTurn(() => {
        if (!answered) this.#set("Redis does not answer");
      });
    };
    const cancel = timers.after(HANG_MS, late);
    try {
      await this.#host.probe();
      answered = true;
      this.#set(undefined);
    } catch (error) {
      answered = true;
      this.#set(error instanceof Error ? error.message : String(error));
    } finally {
      cancel();
      this.#probing = false;
      this.#later(this.#cause === undefined ? PROBE_MS : TROUBLED_PROBE_MS);
    }
  }

  #set(cause: string | undefined): void {
    const changed = (cause === undefined) !== (this.#cause === undefined);
    this.#cause = cause;
    if (changed && !this.#ended) this.#host.changed();
  }
}
