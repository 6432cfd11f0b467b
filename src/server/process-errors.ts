/**
 * What becomes of an error that was not caught. One client's misfortune must not end every
 * connection, so the server logs it, counts it and goes on; a line in the log at level error is a
 * fault of the software that its authors want to hear of.
 */
import type { ServerLogger } from "./logger.ts";

/** Lines that are logged in one window at most: an error may come back with every frame. */
const LINES_PER_WINDOW = 20;
const WINDOW_MS = 60_000;

/** Errors that were not caught since the process started. */
export interface UncaughtErrors {
  /** Thrown by a callback of the event loop. */
  readonly exception: number;
  /** Of promises that were rejected. */
  readonly rejection: number;
}

const counted = { exception: 0, rejection: 0 };

/** One count for the process and all that runs in it. Zero where `surviveErrors` was never called. */
export const uncaughtErrors: UncaughtErrors = counted;

/** From now on an error that is not caught ends the process no more. */
export function surviveErrors(logger: ServerLogger): void {
  let since = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let unlogged = 0;
  // A promise that is not handled comes here as well, which its origin says.
  process.on("uncaughtException", (error, origin) => {
    const kind = origin === "unhandledRejection" ? "rejection" : "exception";
    counted[kind] += 1;
    const now = performance.now();
    if (now - since >= WINDOW_MS) [since, lines] = [now, 0];
    if (lines === LINES_PER_WINDOW) {
      unlogged += 1;
      return;
    }
    lines += 1;
    logger.error("an error that nobody has caught", {
      kind,
      error,
      ...(unlogged > 0 ? { unlogged } : {}),
    });
    unlogged = 0;
  });
}
