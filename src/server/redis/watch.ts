/** Notices when Redis is lost and when it is back, for the log and the metrics. */
import type { Logger } from "../../engine/ports/platform.ts";
import type { RedisFacts } from "../../http/metrics/process.ts";

/** How often it looks by itself, in milliseconds. */
const LOOK_MS = 500;

export interface RedisWatchOptions {
  /** Whether this process hears what is published, and its commands are answered. */
  readonly ready: () => boolean;
  /** Where Redis is, for the log. */
  readonly address: string;
  /** Messages in Pub/Sub that were nothing of ours, since the start. */
  readonly stray: () => number;
  readonly logger: Logger;
}

export class RedisWatch {
  readonly #options: RedisWatchOptions;
  /** When it was lost, by the clock that never jumps; undefined while it is there. */
  #lostAt: number | undefined;
  #losses = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RedisWatchOptions) {
    this.#options = options;
  }

  /** Watches from now on, when Redis is there. */
  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** @param cause why it may have been lost, where that is known */
  look(cause = "it does not answer"): void {
    if (this.#timer === undefined) return;
    const { address, logger, ready } = this.#options;
    if (!ready()) {
      if (this.#lostAt !== undefined) return;
      this.#lostAt = performance.now();
      this.#losses += 1;
      logger.warn("Redis is lost", { address, cause });
    } else if (this.#lostAt !== undefined) {
      const seconds = this.#lostSeconds;
      this.#lostAt = undefined;
      logger.info?.("Redis is back", { address, seconds: Math.round(seconds * 1_000) / 1_000 });
    }
  }

  facts(): RedisFacts {
    return {
      ready: this.#options.ready(),
      lostSeconds: this.#lostSeconds,
      losses: this.#losses,
      stray: this.#options.stray(),
    };
  }

  get #lostSeconds(): number {
    return this.#lostAt === undefined ? 0 : (performance.now() - this.#lostAt) / 1_000;
  }
}
