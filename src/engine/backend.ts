/**
 * Calls to the application's backends on behalf of one session: each with a deadline, all cancelled
 * when the session ends, and a backend's own words never reaching a client by accident.
 */
import type { ErrorCode } from "../protocol/codes.ts";
import { MessagingError } from "../protocol/errors.ts";
import type { Cancellation, Logger, Timers } from "./ports.ts";

/** What a call means to the client when the backend fails or is late. */
export interface CallTerms {
  readonly timeoutMs: number;
  readonly timeout: readonly [ErrorCode, string];
  readonly failure: readonly [ErrorCode, string];
}

export class BackendCalls {
  readonly #timers: Timers;
  readonly #logger: Logger;
  /** Undefined until the first call: most sessions make none. */
  #open: Set<CancellationSource> | undefined;

  constructor(timers: Timers, logger: Logger) {
    this.#timers = timers;
    this.#logger = logger;
  }

  /** Calls that wait for their answer. */
  get size(): number {
    return this.#open?.size ?? 0;
  }

  /**
   * Runs one call.
   *
   * @throws MessagingError the backend's refusal, or what the terms say of a failure or a deadline.
   */
  run<T>(terms: CallTerms, call: (cancellation: Cancellation) => Promise<T>): Promise<T> {
    const source = new CancellationSource();
    this.#open ??= new Set();
    const open = this.#open.add(source);
    return new Promise<T>((resolve, reject) => {
      const settle = (finish: () => void): void => {
        if (!open.delete(source)) return;
        stop();
        finish();
      };
      const stop = this.#timers.after(terms.timeoutMs, () => {
        settle(() => reject(new MessagingError(...terms.timeout)));
        source.cancel();
      });
      source.onCancel(() => settle(() => reject(new MessagingError(...terms.failure))));
      started(call, source).then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(this.#refusal(terms, error))),
      );
    });
  }

  /** The session has ended: nobody waits any more. */
  cancelAll(): void {
    for (const source of [...(this.#open ?? [])]) source.cancel();
  }

  #refusal(terms: CallTerms, error: unknown): MessagingError {
    if (error instanceof MessagingError) return error;
    this.#logger.warn("backend call failed", { error: String(error) });
    return new MessagingError(...terms.failure);
  }
}

/** A call that throws before it returns a promise has failed like any other. */
async function started<T>(
  call: (cancellation: Cancellation) => Promise<T>,
  cancellation: Cancellation,
): Promise<T> {
  return await call(cancellation);
}

class CancellationSource implements Cancellation {
  #cancelled = false;
  #callbacks: (() => void)[] = [];

  get cancelled(): boolean {
    return this.#cancelled;
  }

  onCancel(callback: () => void): void {
    if (this.#cancelled) callback();
    else this.#callbacks.push(callback);
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    for (const callback of this.#callbacks.splice(0)) callback();
  }
}
