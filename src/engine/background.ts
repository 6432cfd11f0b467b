/** Work that nobody waits for, and work that is asked for again while it runs. */
import { errorText } from "./error-text.ts";
import type { Logger } from "./ports/platform.ts";

/**
 * Lets a promise run on its own. A rejection is logged as a warning and goes no further, so that it
 * cannot end the process.
 *
 * @param work the promise whose outcome is not needed
 * @param logger receives the warning
 * @param what names the work in the log, such as `"pattern push"`
 * @example
 * background(this.#refresh(), this.#logger, "refresh of the node list");
 */
export function background(work: Promise<unknown>, logger: Logger, what: string): void {
  work.catch((error: unknown) => {
    logger.warn("background work failed", { what, error: errorText(error) });
  });
}

export interface RerunOptions {
  /** Does what has to be done now. */
  readonly work: () => Promise<unknown>;
  /** Waits, before each run, for what else is asked for at the same time. Default: for the next step. */
  readonly collect?: () => Promise<unknown>;
  /** Receives a warning of a run that has failed and that nobody waits for. */
  readonly logger: Logger;
  /** Names the work in the log. */
  readonly what: string;
}

/**
 * Work of which one run is under way at a time. Where it is asked for after a run has begun, it runs once more,
 * however often it was asked for.
 *
 * @example
 * const saving = new Rerun({ work: () => store.write(rows), logger, what: "saving" });
 * rows.push(row);
 * await saving.ask(); // the row has been written, with all that came meanwhile
 */
export class Rerun {
  readonly #options: RerunOptions;
  #asked = false;
  #running: Promise<void> | undefined;

  constructor(options: RerunOptions) {
    this.#options = options;
  }

  /** Whether nothing is under way. */
  get idle(): boolean {
    return this.#running === undefined;
  }

  /** Resolves when a run has ended that began after this call. Rejects with what a run throws, which is the last. */
  ask(): Promise<void> {
    this.#asked = true;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** The same where nobody waits. */
  soon(): void {
    const { idle } = this;
    const done = this.ask();
    if (idle) background(done, this.#options.logger, this.#options.what);
  }

  async #run(): Promise<void> {
    try {
      while (this.#asked) {
        await this.#options.collect?.();
        this.#asked = false;
        await this.#options.work();
      }
    } finally {
      this.#running = undefined;
    }
  }
}

/**
 * A question whose answer many want. One is under way at a time, and callers that ask meanwhile share the next one.
 *
 * @example
 * const opening = new SharedCall(() => store.position(name));
 * const position = await opening.ask(); // as it was at some time after this call
 */
export class SharedCall<T> {
  readonly #call: () => Promise<T>;
  #current: Promise<unknown> | undefined;
  #next: Promise<T> | undefined;

  constructor(call: () => Promise<T>) {
    this.#call = call;
  }

  /** Resolves with the answer to a call that begins after this one. Rejects with what that call throws. */
  ask(): Promise<T> {
    if (this.#current === undefined) return this.#begin();
    this.#next ??= this.#after(this.#current);
    return this.#next;
  }

  async #after(current: Promise<unknown>): Promise<T> {
    await current.catch(() => {});
    this.#next = undefined;
    return await this.#begin();
  }

  #begin(): Promise<T> {
    const call = this.#call();
    this.#current = call;
    const end = (): void => {
      if (this.#next === undefined) this.#current = undefined;
    };
    call.then(end, end);
    return call;
  }
}
