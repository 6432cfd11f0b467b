/**
 * Keeps the channels of a node alive, and finds what has not reached it: between the servers of a cluster
 * messages may be lost without a trace.
 */
import { background } from "../../engine/background.ts";
import type { Timers } from "../../engine/ports/platform.ts";
import type { RedisChannel } from "./channel/channel.ts";
import { HEARING_MS } from "./channel/cursor.ts";
import { Interval } from "./outage/interval.ts";
import type { Troubles } from "./outage/troubles.ts";
import { chunks } from "./topic-subscriptions.ts";

export interface UpkeepHost {
  readonly timers: Timers;
  readonly troubles: Troubles;
  /** How often channels are looked at, in milliseconds. */
  readonly refreshMs: number;
  channels(): Iterable<RedisChannel>;
  ended(): boolean;
  /** All channels have been looked at: what else is to be done each time. */
  looked(subscribed: readonly RedisChannel[]): Promise<void>;
}

export class Upkeep {
  readonly #host: UpkeepHost;
  readonly #rounds: Interval;

  constructor(host: UpkeepHost) {
    this.#host = host;
    const what = "looking at the channels of this node";
    this.#rounds = new Interval(host, host.refreshMs, what, () => this.#refresh());
  }

  start(): void {
    this.#rounds.start();
  }

  end(): void {
    this.#rounds.end();
  }

  /** Looks whether a channel has gone further than what was heard of it. */
  async look(channel: RedisChannel): Promise<void> {
    const { timers, troubles } = this.#host;
    const opened = await channel.look();
    const listens = (): boolean => channel.subscribed || channel.heardAt > 0;
    if (!listens() || !channel.cursor.behind(opened)) return;
    timers.after(HEARING_MS, () => {
      if (!listens() || !channel.cursor.behind(opened)) return;
      background(channel.cursor.catchUp(), troubles.logger, "catching up");
    });
  }

  async #refresh(): Promise<void> {
    const mine = [...this.#host.channels()].filter(
      ({ subscribed, attended }) => subscribed || attended,
    );
    for (const some of chunks(mine)) {
      // What fails is refreshed the next time: a channel is kept for several.
      const looked = await Promise.allSettled(some.map((channel) => this.look(channel)));
      this.#host.troubles.noteAll("looking at a channel", looked);
      if (this.#host.ended()) return;
    }
    await this.#host.looked(mine.filter((channel) => channel.subscribed));
  }
}
