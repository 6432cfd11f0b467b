/**
 * Calls to the application's backends on behalf of one session: each with a deadline, all cancelled
 * when the session ends, and a backend's own words never reaching a client by accident.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { errorText } from "../error-text.ts";
import type { Cancellation } from "../ports/backends.ts";
import type { Logger, Timers } from "../ports/platform.ts";
import { BadValue } from "./application-values.ts";
import { checkedRefusal, type Refusal } from "./backend-answers.ts";

/** What a call means to the client when the backend fails, is late or answers what is not valid. */
export interface CallTerms<T> {
  /** Names the backend in the log. */
  readonly backend: string;
  readonly timeoutMs: number;
  readonly timeout: Refusal;
  readonly failure: Refusal;
  /** Of an answer that `check` throws out, and in the place of what a refusal does not say rightly. */
  readonly invalid: Refusal;
  /** Makes of an answer what it says. @throws BadValue */
  readonly check: (answer: unknown) => T;
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
  run<T>(terms: CallTerms<T>, call: (cancellation: Cancellation) => Promise<unknown>): Promise<T> {
    const source = new CancellationSource(this.#logger);
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
      started(terms, call, source).then(
        (value) => settle(() => resolve(value)),
        // A call that nobody waits for any more has nothing to say, not even to the log.
        (error: unknown) => settle(() => reject(this.#refusal(terms, error))),
      );
    });
  }

  /** The session has ended: nobody waits any more. */
  cancelAll(): void {
    for (const source of [...(this.#open ?? [])]) source.cancel();
  }

  #refusal({ backend, failure, invalid }: CallTerms<unknown>, error: unknown): MessagingError {
    if (error instanceof MessagingError) {
      const checked = checkedRefusal(error, invalid);
      for (const problem of checked.problems) this.warnOf(backend, problem);
      return checked.error;
    }
    if (error instanceof BadValue) {
      this.warnOf(backend, error);
      return new MessagingError(...invalid);
    }
    this.#logger.warn("backend call failed", { backend, error: errorText(error) });
    return new MessagingError(...failure);
  }

  /** Tells the log of an answer that is none. */
  warnOf(backend: string, { field, problem }: BadValue): void {
    this.#logger.warn("a backend's answer is not valid", { backend, field, problem });
  }
}

/** A call that throws before it returns a promise has failed like any other. */
async function started<T>(
  { check }: CallTerms<T>,
  call: (cancellation: Cancellation) => Promise<unknown>,
  cancellation: Cancellation,
): Promise<T> {
  return check(await call(cancellation));
}

class CancellationSource implements Cancellation {
  readonly #logger: Logger;
  #cancelled = false;
  #callbacks: (() => void)[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

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
    for (const callback of this.#callbacks.splice(0)) {
      try {
        callback();
      } catch (error) {
        // The backend's own: it must not keep the others from hearing of it, nor end a timer.
        this.#logger.warn("a backend's cancellation failed", { error: errorText(error) });
      }
    }
  }
}
