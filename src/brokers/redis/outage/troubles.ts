/**
 * What operators read of calls that fail: the first failure, then one line a minute, and a line when it is over. What
 * fails is named by a few fixed names, never by a channel, so that an outage writes the same few lines whatever it
 * holds up.
 */
import { made } from "../../../channels/maps.ts";
import type { Clock, LogFields, Logger } from "../../../engine/ports/platform.ts";

/** The least time between two warnings of one kind, in milliseconds. */
const WARN_EVERY_MS = 60_000;

/** What is known of one kind of call. */
interface Kind {
  /** Calls of this kind that fail and are repeated now. */
  open: number;
  /** When the first of them failed, Unix milliseconds. */
  since: number;
  /** When the last warning was written; undefined for never. */
  warnedAt: number | undefined;
  /** What operators read of it now is that it fails. */
  told: boolean;
  /** Warnings left out since the last one. */
  left: number;
}

/** A call that fails and is repeated. */
export interface Trouble {
  failed(error: unknown): void;
  /** It is not repeated any more. */
  over(): void;
}

export class Troubles {
  /** Like the host's logger, and writes one warning a minute of each message and `what`. */
  readonly logger: Logger;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #kinds = new Map<string, Kind>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
    this.logger = { warn: (message, fields) => this.#warn(message, fields) };
  }

  /** A call has failed and is going to be repeated. */
  begin(what: string): Trouble {
    const kind = this.#kind(what);
    if (kind.open === 0) kind.since = this.#clock.now();
    kind.open += 1;
    return {
      failed: (error) => {
        if (this.#quiet(kind)) return;
        kind.told = true;
        const fields = { what, error: reasonOf(error), waiting: kind.open };
        this.#logger.warn("a call to Redis fails and is tried again", fields);
      },
      over: () => {
        kind.open -= 1;
        if (kind.open > 0 || !kind.told) return;
        kind.told = false;
        const after_ms = this.#clock.now() - kind.since;
        this.#logger.info?.("calls to Redis do not fail any more", { what, after_ms });
      },
    };
  }

  /** A call has failed and nobody repeats it, or not soon. */
  note(what: string, error: unknown): void {
    this.#warn("a call to Redis failed", { what, error: reasonOf(error) });
  }

  /** The same for those of several calls that have failed. */
  noteAll(what: string, outcomes: readonly PromiseSettledResult<unknown>[]): void {
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") this.note(what, outcome.reason);
    }
  }

  #warn(message: string, fields: LogFields = {}): void {
    const kind = this.#kind(`${message}: ${String(fields["what"] ?? "")}`);
    const { left } = kind;
    if (this.#quiet(kind)) return;
    this.#logger.warn(message, left === 0 ? fields : { ...fields, left_out: left });
  }

  /** Whether a warning of this kind has been written lately; otherwise one is written now. */
  #quiet(kind: Kind): boolean {
    const now = this.#clock.now();
    if (kind.warnedAt !== undefined && Math.abs(now - kind.warnedAt) < WARN_EVERY_MS) {
      kind.left += 1;
      return true;
    }
    kind.warnedAt = now;
    kind.left = 0;
    return false;
  }

  #kind(name: string): Kind {
    const kind = { open: 0, since: 0, warnedAt: undefined, told: false, left: 0 };
    return made(this.#kinds, name, () => kind);
  }
}

/** What an error says, and what the one behind it says. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? `${String(error)}: ${cause.message}` : String(error);
}
