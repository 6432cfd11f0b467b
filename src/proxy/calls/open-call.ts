/** One call of a backend while its caller waits: it ends by itself, at its deadline, or when it is cancelled. */
import { BackendFailure, type Cancellation } from "../../engine/ports/backends.ts";
import type { Timers } from "../../engine/ports/platform.ts";
import type { Span } from "../../engine/ports/tracing.ts";

export class OpenCall implements Cancellation {
  readonly span: Span | undefined;
  readonly #stop: (() => void) | undefined;
  #callbacks: (() => void)[] = [];
  #failure: BackendFailure | undefined;
  #closed = false;
  #reject: ((failure: BackendFailure) => void) | undefined;

  /** @param outer the caller; a cancellation that came late is a deadline that passed, and no client that left */
  constructor(timers: Timers, timeoutMs: number, outer: Cancellation) {
    this.span = outer.span;
    // Most often both have the same deadline, and one timer for it is enough.
    if (outer.withinMs === undefined || outer.withinMs > timeoutMs) {
      const late = () => new BackendFailure("timeout", `no answer within ${timeoutMs} ms`);
      this.#stop = timers.after(timeoutMs, () => this.#end(late()));
    }
    outer.onCancel(() => {
      const passed = outer.late === true;
      this.#end(
        passed
          ? new BackendFailure("timeout", "no answer in time")
          : new BackendFailure("cancelled", "nobody waits for the answer any more"),
      );
    });
  }

  get cancelled(): boolean {
    return this.#failure !== undefined;
  }

  onCancel(callback: () => void): void {
    if (this.cancelled) callback();
    else this.#callbacks.push(callback);
  }

  /**
   * Waits for one part of the call, but no longer than for the call.
   *
   * @throws BackendFailure at the deadline, and when the call is cancelled
   */
  until<T>(part: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#reject = reject;
      part().then(resolve, reject);
    });
  }

  /** The caller waits no more: the deadline is nothing that could pass. */
  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#callbacks = [];
    this.#reject = undefined;
  }

  #end(failure: BackendFailure): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = failure;
    this.#stop?.();
    this.#reject?.(failure);
    for (const callback of this.#callbacks.splice(0)) callback();
  }
}
