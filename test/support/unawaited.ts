/** Work of a test that nobody waits for. */

/** Lets a promise run on its own. Where it rejects, the run of the tests fails with what it says. */
export function unawaited(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    queueMicrotask(() => {
      throw error;
    });
  });
}
