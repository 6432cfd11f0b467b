/** Requests that wait for their answer. Each settles exactly once. */

import { MessagingError } from "../../protocol/errors.ts";
import type { OutboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { ErrorCode } from "../../protocol/lean/error-kinds.ts";

/** How long an answer may take, and who gets its parts. */
export interface Deadline {
  /** Milliseconds. */
  readonly timeoutMs?: number;
  /** What an answer that does not come in time is called. Default UNAVAILABLE. */
  readonly late?: ErrorCode;
  /** Is given what comes of a long answer before its end. */
  readonly onPart?: (part: OutboundMessage) => void;
}

export class PendingRequests {
  readonly #timeoutMs: number;
  readonly #waiting = new Map<string, Waiting>();

  /** `timeoutMs` applies to requests that name none. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Waits for the answer to a request id; rejects at the deadline. */
  add(
    id: string,
    { timeoutMs = this.#timeoutMs, late = "UNAVAILABLE", onPart = () => {} }: Deadline = {},
  ): Promise<OutboundMessage> {
    const { promise, resolve, reject } = deferred<OutboundMessage>();
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      reject(new MessagingError(late, "no answer in time"));
    }, timeoutMs);
    this.#waiting.set(id, { resolve, reject, onPart, timer });
    return promise;
  }

  /** A part of an answer, which goes on. Returns false when nobody waits for this id. */
  part(id: string, part: OutboundMessage): boolean {
    const waiting = this.#waiting.get(id);
    waiting?.onPart(part);
    return waiting !== undefined;
  }

  /** Returns false when nobody waits for this id. */
  resolve(id: string, answer: OutboundMessage): boolean {
    const waiting = this.#take(id);
    waiting?.resolve(answer);
    return waiting !== undefined;
  }

  /** Returns false when nobody waits for this id. */
  reject(id: string, error: MessagingError): boolean {
    const waiting = this.#take(id);
    waiting?.reject(error);
    return waiting !== undefined;
  }

  rejectAll(error: MessagingError): void {
    for (const id of [...this.#waiting.keys()]) this.reject(id, error);
  }

  #take(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    return waiting;
  }
}

interface Waiting {
  readonly resolve: (answer: OutboundMessage) => void;
  readonly reject: (error: MessagingError) => void;
  readonly onPart: (part: OutboundMessage) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** `Promise.withResolvers`, which Node 20 lacks. */
export function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>["resolve"] = () => {};
  let reject: Deferred<T>["reject"] = () => {};
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
