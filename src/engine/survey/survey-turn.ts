/** The surveys of one session: one at a time, and so many a minute. */
import { TokenBucket } from "../token-bucket.ts";
import { tooMany } from "./too-many.ts";

export class SurveyTurn {
  readonly #bucket: TokenBucket;
  #open = false;

  /** @param now in milliseconds */
  constructor(perMinute: number, now: number) {
    this.#bucket = new TokenBucket(perMinute / 60, perMinute, now);
  }

  /** @throws MessagingError RATE_LIMITED while one is open, and where there were too many lately */
  begin(now: number): void {
    if (this.#open) throw tooMany("the session has a survey that is still open");
    const waitMs = this.#bucket.take(now);
    if (waitMs > 0) throw tooMany("the session asks too often", waitMs);
    this.#open = true;
  }

  end(): void {
    this.#open = false;
  }
}
