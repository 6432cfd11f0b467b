/** Work that nobody waits for. */
import { errorText } from "./error-text.ts";
import type { Logger } from "./ports/platform.ts";

/**
 * Lets a promise run on its own. A rejection is logged as a warning and goes no further, so that it
 * cannot end the process.
 *
 * @param work the promise whose outcome nobody needs
 * @param logger receives the warning
 * @param what names the work in the log, such as `"pattern push"`
 * @example
 * background(this.#refresh(), this.#logger, "refresh of the node list");
 */
export function background(work: Promise<unknown>, logger: Logger, what: string): void {
  work.catch((error: unknown) => {
    logger.warn("background work failed", { what, error: errorText(error) });
  });
}
