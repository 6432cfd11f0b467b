/** Timers for deadlines of any length, and for clients that do not read. */
import { MAX_TIMER_MS } from "../../http/streaming/deadline.ts";

/**
 * Calls back once when a time has passed, however long it is.
 *
 * @returns what keeps it from that
 */
export function afterLong(ms: number, callback: () => void): () => void {
  const end = performance.now() + ms;
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const left = end - performance.now();
    if (left <= 0) callback();
    else timer = setTimeout(wait, Math.min(Math.ceil(left), MAX_TIMER_MS)).unref();
  };
  timer = setTimeout(wait, Math.min(Math.ceil(ms), MAX_TIMER_MS)).unref();
  return () => clearTimeout(timer);
}

/**
 * How long a client may take to read up to the end of its stream, in milliseconds.
 *
 * @param slow it has to read what lies before the end first
 */
export function closeTimeoutMs(slow: boolean): number {
  return slow ? 120_000 : 5_000;
}

/** Calls `end` unless the connection closes while its client may still read up to its end. */
export function endLater(
  connection: { once(event: "close", listener: () => void): unknown },
  slow: boolean,
  end: () => void,
): void {
  const timer = setTimeout(end, closeTimeoutMs(slow)).unref();
  connection.once("close", () => clearTimeout(timer));
}
