/**
 * Calls to the application's backends on behalf of one session: each with a deadline, all cancelled
 * when the session ends, and a backend's own words never reaching a client by accident.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { errorText } from "../error-text.ts";
import { BackendFailure, type Cancellation } from "../ports/backends.ts";
import type { LogFields, Logger, Random, Timers } from "../ports/platform.ts";
import type { Operation, Span, Tracer } from "../ports/tracing.ts";
import { within } from "../spans.ts";
import { BadValue } from "./application-values.ts";
import { checkedRefusal, type Refusal } from "./backend-answers.ts";

/** What a call means to the client when the backend fails, is late or answers what is not valid. */
export interface CallTerms<T> {
  /** Names the backend in the log. */
  readonly backend: Extract<Operation, "authenticate" | "authorizeSubscribe" | "rpc">;
  readonly timeoutMs: number;
  readonly timeout: Refusal;
  readonly failure: Refusal;
  /** Of an answer that `check` throws out, and in the place of what a refusal does not say rightly. */
  readonly invalid: Refusal;
  /** Makes of an answer what it says. @throws BadValue */
  readonly check: (answer: unknown) => T;
  /**
   * Whether a refusal has a code by which the server alone says what becomes of a session. It is a failure then, and
   * the client hears nothing of it.
   */
  readonly reserved: (refusal: MessagingError) => boolean;
  /** Whether a refusal counts towards 3509. Default: what the table says of its code. */
  readonly counts?: boolean;
  /** The span that the call is a part of. Default: none. */
  readonly span?: Span | undefined;
  /** Whether the call is a part of something: where that is not in the sample the call is not either. Default no. */
  readonly part?: boolean;
}

/** Asks the backend; it may throw instead of rejecting. Undefined where there is none to ask any more. */
export type BackendCall = (cancellation: Cancellation) => Promise<unknown> | undefined;

/** What calls need of the node around them. */
export interface CallHost {
  readonly timers: Timers;
  readonly logger: Logger;
  readonly random: Random;
  readonly tracer: Tracer | undefined;
}

/** Of a call that nothing has come of: it may be made again, but not at once. */
const NOT_ASKED: Refusal = ["UNAVAILABLE", "the backend cannot be asked now"];

export class BackendCalls {
  readonly #timers: Timers;
  readonly #logger: Logger;
  readonly #random: Random;
  readonly #tracer: Tracer | undefined;
  /** Undefined until the first call: most sessions make none. */
  #open: Set<CancellationSource> | undefined;

  constructor({ timers, logger, random, tracer }: CallHost) {
    this.#timers = timers;
    this.#logger = logger;
    this.#random = random;
    this.#tracer = tracer;
  }

  /** Calls that wait for their answer. */
  get size(): number {
    return this.#open?.size ?? 0;
  }

  /**
   * Runs one call.
   *
   * @throws MessagingError the backend's refusal, or what the terms say of a failure or a deadline. What is not the
   * backend's own has a `correlation_id` in its metadata, by which the line in the log is found.
   */
  run<T>(terms: CallTerms<T>, call: BackendCall): Promise<T> {
    const { part = false, span: parent } = terms;
    const span = this.#tracer?.start(terms.backend, { kind: "client", parent, part });
    if (span === undefined) return this.#run(terms, call, undefined);
    return within(span, () => this.#run(terms, call, span));
  }

  #run<T>(terms: CallTerms<T>, call: BackendCall, span: Span | undefined): Promise<T> {
    const source = new CancellationSource(this.#logger, terms.timeoutMs, span);
    this.#open ??= new Set();
    const open = this.#open.add(source);
    return new Promise<T>((resolve, reject) => {
      const settle = (finish: () => void): void => {
        if (!open.delete(source)) return;
        stop();
        finish();
      };
      const stop = this.#timers.after(terms.timeoutMs, () => {
        settle(() => reject(this.#told(terms, late(terms.timeoutMs))));
        source.cancel(true);
      });
      source.onCancel(() => settle(() => reject(new MessagingError(...terms.failure))));
      started(terms, call, source).then(
        (value) => settle(() => resolve(value)),
        // A call that nobody waits for any more has nothing to say, not even to the log.
        (error: unknown) => settle(() => reject(this.#told(terms, error))),
      );
    });
  }

  /** The session has ended: nobody waits any more. */
  cancelAll(): void {
    for (const source of [...(this.#open ?? [])]) source.cancel();
  }

  /** The error that the client gets for what a backend has thrown, or thrown instead of an answer. */
  #told(terms: CallTerms<unknown>, error: unknown): MessagingError {
    if (!(error instanceof MessagingError)) return this.#failed(terms, error);
    const checked = checkedRefusal(error, terms.invalid, terms.counts);
    for (const problem of checked.problems) this.#warnOf(terms.backend, problem);
    if (!terms.reserved(checked.error)) return checked.error;
    return this.#failed(terms, new BackendFailure("answer", `stated ${checked.error.code}`));
  }

  #failed(terms: CallTerms<unknown>, error: unknown): MessagingError {
    const { backend } = terms;
    const correlation = { correlation_id: this.#random.uuid() };
    const told = (refusal: Refusal) => new MessagingError(...refusal, { metadata: correlation });
    if (error instanceof BadValue) {
      this.#warnOf(backend, error, correlation);
      return told(terms.invalid);
    }
    const reason = error instanceof BackendFailure ? error.reason : undefined;
    const fields = { backend, ...(reason === undefined ? {} : { reason }), ...correlation };
    this.#logger.warn("backend call failed", { ...fields, error: errorText(error) });
    if (reason === "timeout") return told(terms.timeout);
    if (reason === "busy" || reason === "circuit_open") return told(NOT_ASKED);
    return told(reason === "field" ? terms.invalid : terms.failure);
  }

  /** Writes an answer that is none to the log, and makes the error that the client gets for it. */
  invalid(terms: CallTerms<unknown>, problem: BadValue): MessagingError {
    return this.#failed(terms, problem);
  }

  /** Tells the log of a value that is not valid. */
  #warnOf(backend: string, { field, problem }: BadValue, fields: LogFields = {}): void {
    this.#logger.warn("a backend's answer is not valid", { backend, field, problem, ...fields });
  }
}

function late(timeoutMs: number): BackendFailure {
  return new BackendFailure("timeout", `no answer within ${timeoutMs} ms`);
}

/** A call that throws before it returns a promise has failed like any other. */
async function started<T>(
  { check }: CallTerms<T>,
  call: BackendCall,
  cancellation: Cancellation,
): Promise<T> {
  return check(await call(cancellation));
}

class CancellationSource implements Cancellation {
  readonly withinMs: number;
  readonly span: Span | undefined;
  readonly #logger: Logger;
  #cancelled = false;
  #late = false;
  #callbacks: (() => void)[] = [];

  constructor(logger: Logger, withinMs: number, span: Span | undefined) {
    this.#logger = logger;
    this.withinMs = withinMs;
    this.span = span;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get late(): boolean {
    return this.#late;
  }

  onCancel(callback: () => void): void {
    if (this.#cancelled) callback();
    else this.#callbacks.push(callback);
  }

  /** @param late whether the deadline has passed */
  cancel(late = false): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#late = late;
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
