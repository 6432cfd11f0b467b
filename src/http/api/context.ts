/** What a call of the server API knows of its caller. */
import type { Engine } from "../../engine/engine.ts";
import type { Cancellation } from "../../engine/ports/backends.ts";
import type { Encoding } from "../../protocol/codec.ts";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import type { Error as ErrorMessage } from "../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import type { Principal } from "../keys/keys.ts";

export interface ApiCall {
  readonly engine: Engine;
  readonly principal: Principal;
  /** Of the answer. */
  readonly encoding: Encoding;
  /** Says when the caller waits for the answer no more; undefined where the host does not know. */
  readonly cancellation?: Cancellation | undefined;
}

/** The part of an AbortSignal that is used. */
interface Signal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void, options: { readonly once: true }): void;
}

/** A signal, as the engine hears of it. */
export function cancellationOf(signal: Signal): Cancellation {
  return {
    get cancelled() {
      return signal.aborted;
    },
    onCancel(callback) {
      if (signal.aborted) callback();
      else signal.addEventListener("abort", callback, { once: true });
    },
  };
}

/** @throws MessagingError BAD_REQUEST where a request has more of something than it may */
export function checkMost(count: number, most: number, what: string): void {
  if (count <= most) return;
  throw new MessagingError("BAD_REQUEST", `a request has at most ${most} ${what}`);
}

/** An error for an item of an answer, where there is one. */
export function itemError(error: MessagingError | undefined): { error?: ErrorMessage } {
  return error === undefined ? {} : { error: errorMessage(error) };
}

/** Does it once for each name; those that it fails for have their error. */
export async function settled<T>(
  names: readonly string[],
  work: (name: string) => Promise<T>,
): Promise<{ results: Record<string, T>; errors: Record<string, ErrorMessage> }> {
  const results: [string, T][] = [];
  const errors: [string, ErrorMessage][] = [];
  await Promise.all(
    [...new Set(names)].map(async (name) => {
      try {
        results.push([name, await work(name)]);
      } catch (error) {
        if (!(error instanceof MessagingError)) throw error;
        errors.push([name, errorMessage(error)]);
      }
    }),
  );
  return { results: Object.fromEntries(results), errors: Object.fromEntries(errors) };
}
