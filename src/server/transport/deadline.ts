/** Timers for deadlines of any length. */
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
