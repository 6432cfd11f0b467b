/**
 * What the Connect library reads of the request of a call. By itself it waits for ever, and gives up what it does not
 * want to read, which takes the answer along.
 */
import type {
  UniversalHandlerFn,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { MAX_BODY_MS } from "../protocol/limits.ts";
import { type BodySource, discardRest, type KeepAlive, tooLate } from "./body.ts";
import { STATUSES, toConnectError } from "./statuses.ts";

/** What a host does for the request of a call. */
export interface BodyHost {
  /** For what is left of a request that is answered before it is whole. Default: nothing needs to be done for it. */
  readonly keepAlive?: KeepAlive | undefined;
  /** Hears that the library waits for the request. Returns what hears that it does not any more. */
  readonly reading?: () => () => void;
}

/** The status that the library has for its code. */
const GATEWAY_TIMEOUT = 504;

/**
 * Has the library answer a call whose request has to be whole in time, and whose client hears the answer also while it
 * still sends. Not for a stream in both directions, which is never whole.
 */
export async function answerInTime(
  handler: UniversalHandlerFn,
  request: UniversalServerRequest,
  host: BodyHost = {},
): Promise<UniversalServerResponse> {
  if (!isIterable(request.body)) return await handler(request);
  const body = new CallBody(request.body[Symbol.asyncIterator](), host);
  const answer = await handler({ ...request, body });
  body.leave();
  const late = body.late && answer.status === GATEWAY_TIMEOUT;
  return late ? { ...answer, status: STATUSES.REQUEST_TIMEOUT.http } : answer;
}

class CallBody implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #host: BodyHost;
  readonly #late = Promise.withResolvers<never>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped: (() => void) | undefined;
  #begun = false;
  #over = false;
  /** Whether the request was not whole in time. */
  late = false;

  constructor(source: AsyncIterator<Uint8Array>, host: BodyHost) {
    this.#source = source;
    this.#host = host;
    // Its waiter may have what it waits for by then.
    this.#late.promise.catch(() => {});
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#over) return DONE;
    if (!this.#begun) this.#begin();
    try {
      const result = await Promise.race([this.#source.next(), this.#late.promise]);
      if (result.done === true) this.#stop();
      return result;
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** The library reads no further. */
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.leave();
    return DONE;
  }

  /** Nothing more is read. What there still is of it is thrown away. */
  leave(): void {
    if (this.#over) return;
    this.#stop();
    const source = this.#source;
    const rest: BodySource = {
      read: async () => {
        const { done = false, value } = await source.next();
        return { done, value: done ? undefined : value };
      },
      cancel: async () => await source.return?.(),
    };
    const work = discardRest(rest);
    this.#host.keepAlive?.(work);
  }

  #begin(): void {
    this.#begun = true;
    this.#stopped = this.#host.reading?.();
    this.#timer = setTimeout(() => {
      this.late = true;
      this.#late.reject(toConnectError(tooLate(MAX_BODY_MS)));
    }, MAX_BODY_MS);
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#stopped?.();
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Whether a body is still to be read, as with every host of ours. */
export function isIterable(
  body: UniversalServerRequest["body"],
): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
