/** Lifecycle hooks of one object: their events wait in its database, and its alarm sees to what it has slept over. */
import type { Logger } from "../engine/ports/platform.ts";
import { Hooks, type HookTargets } from "../hooks/hooks.ts";
import { clock, random, timers } from "./platform.ts";
import { SqlOutbox } from "./sql/outbox.ts";
import type { SqlLike } from "./sql/sql.ts";

/** How long events may wait in an object that has fallen asleep over them, in milliseconds. */
const ALARM_MS = 20_000;
/** A pause that is longer is slept through, in milliseconds: an object that waits for a timer stays awake. */
const LONGEST_WAKE_MS = 10_000;

export interface ObjectHooksHost {
  readonly sql: SqlLike;
  readonly logger: Logger;
  /** Makes sure that the object's alarm comes by a time, Unix milliseconds; then it calls `wake`. */
  wakeBy(at: number): void;
}

/**
 * The lifecycle hooks of one object. Its host calls `wake` at the begin of a life and with each alarm, asks `due` for the
 * next one, and says `forgotten` when it has deleted the database.
 */
export class ObjectHooks {
  /** Undefined where no event is reported. */
  readonly lifecycle: Hooks | undefined;
  readonly #host: ObjectHooksHost;
  readonly #outbox: SqlOutbox | undefined;
  /** When the alarm comes for the hooks at the latest, Unix milliseconds. */
  #alarm = 0;

  constructor({ kinds, backends }: HookTargets, host: ObjectHooksHost) {
    this.#host = host;
    if (kinds.size === 0) return;
    const { logger, sql } = host;
    const written = (): void => this.#wakeBy(clock.now() + ALARM_MS);
    this.#outbox = new SqlOutbox(sql, { kinds, clock, random, written });
    this.lifecycle = new Hooks({
      kinds,
      backends,
      outbox: this.#outbox,
      clock,
      timers: {
        after: (ms, callback) => {
          if (ms <= LONGEST_WAKE_MS) return timers.after(ms, callback);
          this.#wakeBy(clock.now() + ms);
          return () => {};
        },
      },
      random,
      logger,
      chance: Math.random,
    });
  }

  /** When the object's alarm has something to do here, Unix milliseconds; undefined when it has not. */
  get due(): number | undefined {
    return (this.#outbox?.size ?? 0) > 0 ? clock.now() + ALARM_MS : undefined;
  }

  /** Goes on with what an earlier life has left, or this one has slept over. */
  wake(): void {
    if (this.due === undefined) return;
    this.#wakeBy(clock.now() + ALARM_MS);
    this.lifecycle?.wake();
  }

  /**
   * Reports the sessions that a reset has taken.
   *
   * @param live whether a session is there
   */
  endOthers(live: (sessionId: string) => boolean): void {
    this.#outbox?.endOthers(live);
  }

  /** The database is empty. */
  forgotten(): void {
    this.#outbox?.forgotten();
  }

  #wakeBy(at: number): void {
    // Nothing is asked of the storage for what an alarm that is known will see to.
    if (this.#alarm > clock.now() && this.#alarm <= at) return;
    this.#alarm = at;
    this.#host.wakeBy(at);
  }
}
