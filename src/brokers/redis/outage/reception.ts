/**
 * Whether all that is published to a node's channels reaches it. A lost connection ends that; it is regained by
 * listening to everything again and catching up in each channel.
 *
 * | state | since | leaves it |
 * | --- | --- | --- |
 * | complete | the node has listened for the first time, or has caught up everywhere | by a lost connection |
 * | lost | the connection is gone | by a new connection, to regaining |
 * | regaining | the connection is there again | when every channel has caught up, or by another loss |
 * | owing | Redis has refused to let the node listen | with the next refresh, to regaining |
 */
import { background } from "../../../engine/background.ts";
import type { RedisChannel } from "../channel/channel.ts";
import type { RedisPatterns } from "../patterns.ts";
import { chunks, type TopicSubscriptions } from "../topic-subscriptions.ts";
import type { RedisRetries } from "./retries.ts";
import type { Troubles } from "./troubles.ts";

export interface ReceptionHost {
  readonly topics: TopicSubscriptions;
  readonly globs: TopicSubscriptions;
  readonly patterns: RedisPatterns;
  readonly retries: RedisRetries;
  readonly troubles: Troubles;
  /** Where other nodes call this one. */
  readonly mailbox: string;
  channels(): Iterable<RedisChannel>;
  ended(): boolean;
  /** Called when `complete` may have changed. */
  changed(): void;
}

export class Reception {
  readonly #host: ReceptionHost;
  #complete = false;
  #cause: string | undefined;
  /** What listens could not be restored, and is tried with the next refresh. */
  #owing = false;

  constructor(host: ReceptionHost) {
    this.#host = host;
  }

  /** All that is published to this node's channels reaches it. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Why it does not, where that is known. */
  get cause(): string | undefined {
    return this.#cause;
  }

  /** The node listens for the first time. */
  begun(): void {
    this.#complete = true;
    this.#host.changed();
  }

  lost(cause: string | undefined): void {
    const { topics, globs, patterns } = this.#host;
    topics.lost();
    globs.lost();
    patterns.lost();
    this.#complete = false;
    this.#cause = cause;
    this.#owing = false;
    this.#host.changed();
  }

  /** The connection is there again. */
  regain(): void {
    this.#owing = false;
    const { troubles } = this.#host;
    const listening = this.#regained().catch((error: unknown) => {
      // What Redis refuses it may allow when its operator has read of it.
      this.#owing = true;
      troubles.note("listening again", error);
    });
    background(listening, troubles.logger, "listening again");
  }

  /** Tries once more what Redis has refused. */
  retry(): void {
    if (this.#owing) this.regain();
  }

  /** Listens to all channels again, and catches up in each of them. */
  async #regained(): Promise<void> {
    const { topics, patterns, retries, mailbox } = this.#host;
    const { round } = topics;
    const over = (): boolean => this.#host.ended() || round !== topics.round;
    const again = (names: () => readonly string[]): Promise<unknown> =>
      retries.until("listening again", over, () =>
        Promise.all(names().map((name) => topics.listen(name))),
      );
    await again(() => [mailbox]);
    const subscribed = [...this.#host.channels()].filter((channel) => channel.subscribed);
    for (const some of chunks(subscribed)) {
      await again(() => some.filter((channel) => channel.subscribed).map(({ topic }) => topic));
      if (over()) return;
      await Promise.all(some.map(({ cursor }) => cursor.catchUp()));
      if (over()) return;
    }
    await patterns.regained(over);
    if (over()) return;
    this.#complete = true;
    this.#cause = undefined;
    this.#host.changed();
  }
}
