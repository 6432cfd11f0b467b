/** A process of the fuzz: runs the steps that its parent sends, and says how many frames that were, and what it holds. */
import { type FuzzOptions, fuzz } from "./fuzzers.ts";

export interface Fuzzed {
  readonly frames: number;
  /** Bytes of the heap after a collection. */
  readonly heap: number;
  /** What failed; undefined where nothing did. */
  readonly failure: string | undefined;
}

const text = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack}${error.cause === undefined ? "" : `\ncaused by ${text(error.cause)}`}`;
};

/** Nothing may fail where nobody waits for it either. */
let stray: string | undefined;
process.on("unhandledRejection", (error) => {
  stray ??= `unhandled: ${text(error)}`;
});

process.on("message", (options: FuzzOptions) => {
  fuzz(options)
    .then(
      (frames) => ({ frames, failure: stray }),
      (error: unknown) => ({ frames: 0, failure: text(error) }),
    )
    .then((outcome) => {
      (globalThis as { gc?: () => void }).gc?.();
      const { heapUsed: heap } = process.memoryUsage();
      process.send?.({ ...outcome, heap } satisfies Fuzzed);
    })
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
});
process.once("disconnect", () => process.exit(0));
