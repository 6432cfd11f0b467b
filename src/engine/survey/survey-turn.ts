/** The surveys of one session: one at a time, and so many a minute. With the session its survey ends. */
import { rateLimited } from "../../protocol/errors.ts";
import { SURVEYS_RETRY_MS } from "../../protocol/limits.ts";
import type { Cancellation } from "../ports/backends.ts";
import { TokenBucket } from "../token-bucket.ts";

export class SurveyTurn implements Cancellation {
  readonly #bucket: TokenBucket;
  #open = false;
  #cancelled = false;
  /** Of the survey that is open. */
  #whenCancelled: (() => void) | undefined;

  /** @param now in milliseconds */
  constructor(perMinute: number, now: number) {
    this.#bucket = new TokenBucket(perMinute / 60, perMinute, now);
  }

  /** @throws MessagingError RATE_LIMITED while one is open, and where there were too many lately */
  begin(now: number): void {
    if (this.#open) {
      throw rateLimited("the session has a survey that is still open", SURVEYS_RETRY_MS);
    }
    const waitMs = this.#bucket.take(now);
    if (waitMs > 0) throw rateLimited("the session asks too often", waitMs);
    this.#open = true;
  }

  end(): void {
    this.#open = false;
    this.#whenCancelled = undefined;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  onCancel(callback: () => void): void {
    if (this.#cancelled) callback();
    else this.#whenCancelled = callback;
  }

  /** The session has ended. */
  cancel(): void {
    this.#cancelled = true;
    this.#whenCancelled?.();
    this.#whenCancelled = undefined;
  }
}
