/** Waiting in tests: for what comes true, or for time to pass. */

const PATIENCE_MS = 20_000;
/** A look may cost a request: the second comes soon, and those of a long wait are rare. */
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;

/** Resolves with what is seen as soon as it holds; rejects with what was last seen when it does not in time. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  holds: (seen: T) => boolean = Boolean,
  ms = PATIENCE_MS,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(1.5 * pause, LONGEST_PAUSE_MS)) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() >= deadline) {
      throw new Error(`did not come true in ${ms} ms: ${JSON.stringify(seen)}`);
    }
    await sleep(pause);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
