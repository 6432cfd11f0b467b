/**
 * What an operator reads of calls that fail: the first failure, then one line a minute with how many there
 * were, and one when it is over. All calls of one kind share it, so that a thousand channels that cannot be
 * reached are not a thousand lines.
 */
import type { Clock, LogFields, Logger } from "../engine/ports/platform.ts";

/** Time between two lines while it lasts, in milliseconds. */
const REPEATED_MS = 60_000;
/** A success counts as the end only when nothing has failed for so long, in milliseconds. */
const QUIET_MS = 5_000;

export interface TroubleHost {
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * @example
 * const trouble = new Trouble("calls to channels", platform);
 * trouble.failed(error); // the log has "calls to channels fail", and once a minute again
 * trouble.worked(); // "calls to channels work again", where nothing has failed for 5 s
 */
export class Trouble {
  readonly #what: string;
  readonly #host: TroubleHost;
  #since: number | undefined;
  #last = 0;
  #told = 0;
  #failures = 0;

  /** @param what is troubled, such as `"calls to channels"` */
  constructor(what: string, host: TroubleHost) {
    this.#what = what;
    this.#host = host;
  }

  failed(error: unknown, fields: LogFields = {}): void {
    const now = this.#host.clock.now();
    const first = this.#since === undefined;
    this.#since ??= now;
    this.#last = now;
    this.#failures += 1;
    if (!first && now - this.#told < REPEATED_MS) return;
    this.#told = now;
    const lasting = first ? {} : { failures: this.#failures, seconds: this.#seconds(now) };
    this.#host.logger.warn(`${this.#what} fail`, { ...fields, error: String(error), ...lasting });
  }

  worked(): void {
    if (this.#since === undefined) return;
    const now = this.#host.clock.now();
    if (now - this.#last < QUIET_MS) return;
    const fields = { failures: this.#failures, seconds: this.#seconds(now) };
    this.#since = undefined;
    this.#failures = 0;
    this.#host.logger.info?.(`${this.#what} work again`, fields);
  }

  #seconds(now: number): number {
    return Math.round((now - (this.#since ?? now)) / 1000);
  }
}
