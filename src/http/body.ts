/** A request's body, within bounds: nobody may fill the memory or keep a request open for ever. */
import type { Timers } from "../engine/ports/platform.ts";
import { withDeadline } from "../engine/ports/timers.ts";
import { joined } from "../protocol/bytes.ts";
import { MessagingError } from "../protocol/errors.ts";
import { MAX_BODY_MS, MAX_REST_BYTES, MAX_REST_MS } from "../protocol/limits.ts";

/** Where the bytes of a body come from, such as a reader of its stream. */
export interface BodySource {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  /** Nothing more is read. */
  cancel(): Promise<unknown>;
}

/** Has a host go on with work whose request has its answer already. The work never rejects. */
export type KeepAlive = (work: Promise<void>) => void;

/** Where a request goes on by itself. */
const UNTENDED: KeepAlive = () => {};

export interface ReadBodyOptions {
  /** In milliseconds. Default {@link MAX_BODY_MS}. */
  readonly timeoutMs?: number;
  /** For what is left of a body that is given up. Default: nothing needs to be done for it. */
  readonly keepAlive?: KeepAlive | undefined;
}

/**
 * Reads a body to its end. What is left of one that is given up is thrown away, as by {@link discardRest}; one that is
 * not begun is its host's to throw away.
 *
 * @param maxBytes more is refused, before it is read where the request says how much there will be
 * @throws MessagingError TOO_LARGE for a longer body, REQUEST_TIMEOUT for one that is not whole in time, BAD_REQUEST
 * for one that breaks off
 */
export async function readBody(
  request: Pick<Request, "headers" | "body">,
  maxBytes: number,
  { timeoutMs = MAX_BODY_MS, keepAlive = UNTENDED }: ReadBodyOptions = {},
): Promise<Uint8Array> {
  const announced = Number(request.headers.get("Content-Length") ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  try {
    return await inTime(readToEnd(reader, maxBytes), timeoutMs, () => tooLate(timeoutMs));
  } catch (error) {
    keepAlive(discardRest(reader));
    throw error instanceof MessagingError
      ? error
      : new MessagingError("BAD_REQUEST", "the body breaks off", { cause: error });
  }
}

/**
 * Takes what a client still sends of a request that has its answer, and throws it away: a connection that is closed with
 * bytes unread takes the answer along. So a client that is refused hears why, and what is too much to be read to its end is cut:
 * {@link MAX_REST_BYTES}, or {@link MAX_REST_MS}.
 *
 * Never rejects.
 */
export async function discardRest(source: BodySource): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), MAX_REST_MS);
  });
  try {
    const whole = await Promise.race([skip(source, MAX_REST_BYTES), late]);
    // Its end is not waited for.
    if (!whole) source.cancel().catch(() => {});
  } catch {
    // The client has gone.
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The outcome of work that may take so long, in milliseconds.
 *
 * @throws what is `late` where it takes longer; the late outcome is ignored
 */
export function inTime<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return withDeadline(TIMERS, work, ms, late);
}

const TIMERS: Timers = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Reads on until the end, or until there was more than so much. Returns whether it was the end. */
async function skip(source: BodySource, maxBytes: number): Promise<boolean> {
  for (let left = maxBytes; left >= 0; ) {
    const { done, value } = await source.read();
    if (done) return true;
    left -= value?.length ?? 0;
  }
  return false;
}

/** @throws MessagingError TOO_LARGE for more than so many bytes, and what the reader throws */
export async function readToEnd(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(value);
  }
  return joined(chunks);
}

function tooLarge(maxBytes: number): MessagingError {
  return new MessagingError("TOO_LARGE", `the body is longer than ${maxBytes} bytes`);
}

/** A request that took longer than it may, in milliseconds, until it was whole. */
export function tooLate(ms: number): MessagingError {
  return new MessagingError("REQUEST_TIMEOUT", `the request was not whole after ${ms / 1_000} s`);
}
