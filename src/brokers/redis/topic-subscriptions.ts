/**
 * Which names, or globs, a node listens to in Pub/Sub. What one turn brings goes to Redis as one command; a lost
 * connection ends all of it.
 */
import { RedisFailure } from "./ports.ts";

/** Names in one command. */
export const MAX_NAMES = 512;

/** What names are said with. */
export interface Listening {
  /** @throws RedisFailure */
  subscribe(names: readonly string[]): Promise<void>;
  unsubscribe(names: readonly string[]): void;
}

export class TopicSubscriptions {
  readonly #subscriptions: Listening;
  readonly #nextTurn: (callback: () => void) => void;
  /** Names that are listened to, or will be; settles with the confirmation. */
  #names = new Map<string, Promise<void>>();
  /** Names that wait for the next turn. */
  #opening = new Map<string, PromiseWithResolvers<void>>();
  #closing = new Set<string>();
  #flushing = false;
  #round = 0;

  constructor(subscriptions: Listening, nextTurn: (callback: () => void) => void) {
    this.#subscriptions = subscriptions;
    this.#nextTurn = nextTurn;
  }

  /** Changes with every lost connection: what was confirmed in another round is worth nothing. */
  get round(): number {
    return this.#round;
  }

  /**
   * Resolves when everything that is published from now on is heard.
   *
   * @throws RedisFailure
   */
  listen(name: string): Promise<void> {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#closing.delete(name)) {
      const still = Promise.resolve();
      this.#names.set(name, still);
      return still;
    }
    const opening = Promise.withResolvers<void>();
    this.#opening.set(name, opening);
    this.#names.set(name, opening.promise);
    opening.promise.catch(() => {
      if (this.#names.get(name) === opening.promise) this.#names.delete(name);
    });
    this.#flushSoon();
    return opening.promise;
  }

  forget(name: string): void {
    if (!this.#names.delete(name)) return;
    const opening = this.#opening.get(name);
    if (opening === undefined) this.#closing.add(name);
    else {
      this.#opening.delete(name);
      opening.reject(new RedisFailure("lost", "nobody listens any more"));
    }
    this.#flushSoon();
  }

  /** The connection is gone. */
  lost(): void {
    this.#round += 1;
    this.#names = new Map();
    this.#closing = new Set();
    const failure = new RedisFailure("lost", "the connection was lost");
    for (const { reject } of this.#opening.values()) reject(failure);
    this.#opening = new Map();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#nextTurn(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const closing = [...this.#closing];
    const opening = [...this.#opening];
    this.#closing = new Set();
    this.#opening = new Map();
    for (const names of chunks(closing)) this.#subscriptions.unsubscribe(names);
    for (const some of chunks(opening)) {
      this.#subscriptions.subscribe(some.map(([name]) => name)).then(
        () => {
          for (const [, { resolve }] of some) resolve();
        },
        (error: unknown) => {
          for (const [, { reject }] of some) reject(error);
        },
      );
    }
  }
}

/** Parts of at most MAX_NAMES, so that no command of Redis takes too long. */
export function chunks<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / MAX_NAMES);
  return Array.from({ length: count }, (_, i) => all.slice(i * MAX_NAMES, (i + 1) * MAX_NAMES));
}
