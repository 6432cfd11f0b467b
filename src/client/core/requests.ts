/** Requests that wait for their answer. Each settles exactly once. */
import { MessagingError } from "../../protocol/errors.ts";
import type { InboundFrame, OutboundFrame, WireError } from "../wire/frames.ts";
import { deferred, type Signal, whenAborted } from "./emitter.ts";
import type { Clock } from "./ports.ts";

/** A member of an answer. */
export type AnswerKind = Exclude<keyof OutboundFrame, "id" | "metadata" | "time" | "error">;
export type Answer<Kind extends AnswerKind> = NonNullable<OutboundFrame[Kind]>;
/** An answer is whole, but that of a survey may come in parts. */
export type Answers<Kind extends AnswerKind> = [Answer<Kind>, ...Answer<Kind>[]];

/** What a request is answered by, and how long that may take. */
export interface Terms<Kind extends AnswerKind, T> {
  readonly kind: Kind;
  /** What the answer, with all of its parts, means. Called inside of its frame, before anything that came later. */
  readonly take: (answers: Answers<Kind>) => T;
  /** Milliseconds. Default: those of all requests. */
  readonly timeoutMs?: number | undefined;
  /** What an answer that does not come in time is called. Default UNAVAILABLE. */
  readonly late?: string | undefined;
  readonly signal?: Signal | undefined;
}

interface Pending {
  readonly frame: InboundFrame;
  readonly kind: AnswerKind;
  answered(frame: OutboundFrame): void;
  fail(error: unknown): void;
}

export interface Requests {
  /**
   * Waits for the answer to a frame, which `flush` sends.
   *
   * @returns a promise whose rejection may be ignored
   */
  add<Kind extends AnswerKind, T>(frame: InboundFrame, terms: Terms<Kind, T>): Promise<T>;
  /** Sends what was not sent yet, in its order. @param send throws what the request rejects with */
  flush(send: (frame: InboundFrame) => void): void;
  /** Returns false for a frame that is nobody's answer. */
  answer(frame: OutboundFrame): boolean;
  /** @param all those that were not sent, too */
  fail(error: MessagingError, all: boolean): void;
}

/** @param usualMs how long an answer may take of which nothing else is said, in milliseconds */
export function requestsOf(clock: Clock, usualMs: number): Requests {
  const pending = new Map<string, Pending>();
  /** Those of them that wait for a connection. */
  const unsent = new Map<string, Pending>();
  let counter = 0;
  return {
    add<Kind extends AnswerKind, T>(frame: InboundFrame, terms: Terms<Kind, T>): Promise<T> {
      const { kind } = terms;
      const id = `${++counter}`;
      const [promise, resolve, reject] = deferred<T>();
      const answers: Answer<Kind>[] = [];
      const settle = (): void => {
        pending.delete(id);
        unsent.delete(id);
        cancel();
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      const cancel = clock.after(terms.timeoutMs ?? usualMs, () =>
        fail(new MessagingError(terms.late ?? "UNAVAILABLE", "no answer in time")),
      );
      const answered = (answer: OutboundFrame): void => {
        answers.push(answer[kind] as Answer<Kind>);
        if (answer.survey_result?.more) return;
        settle();
        try {
          resolve(terms.take(answers as unknown as Answers<Kind>));
        } catch (error) {
          reject(error);
        }
      };
      const request = { frame: { id, ...frame }, kind, answered, fail };
      pending.set(id, request);
      unsent.set(id, request);
      whenAborted(terms.signal, fail, promise);
      return promise;
    },
    flush(send) {
      for (const [id, { frame, fail }] of unsent) {
        unsent.delete(id);
        try {
          send(frame);
        } catch (error) {
          fail(error);
        }
      }
    },
    answer(frame) {
      const request = pending.get(frame.id ?? "");
      if (!request) return false;
      if (frame.error) request.fail(errorOf(frame.error));
      // Anything else is of a later version, whatever its id.
      else if (frame[request.kind]) request.answered(frame);
      return true;
    },
    fail(error, all) {
      for (const [id, request] of [...pending]) {
        if (all || !unsent.has(id)) request.fail(error);
      }
    },
  };
}

/** An error of a frame. */
export function errorOf({ code = "", type, message, metadata }: WireError): MessagingError {
  // What JSON has read is JSON.
  const known = metadata as MessagingError["metadata"];
  return new MessagingError(code, message || "Server error", { type, metadata: known });
}

/** How long the server asks to wait, in milliseconds; 0 where it does not. */
export function retryAfterMs({ metadata }: MessagingError): number {
  return Number(metadata?.["retry_after_ms"]) || 0;
}
