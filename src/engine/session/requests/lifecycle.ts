/** What a session reports of its life: that it is connected, which channels it has, and that it has ended. */
import { isPattern } from "../../../channels/names.ts";
import { background } from "../../background.ts";
import {
  channelEvent,
  type Lifecycle,
  type LifecycleEvent,
  type LifecycleKind,
} from "../../ports/lifecycle.ts";
import type { Clock, Logger, Random } from "../../ports/platform.ts";
import type { Occupancy } from "../../subscription/occupancy.ts";
import type { Client } from "../client.ts";

/** The node, as what its sessions report of themselves needs it. */
export interface LifecycleHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: Random;
  readonly occupancy: Occupancy;
}

/** How a session has ended. */
export interface SessionEnd {
  readonly by: "client" | "server";
  /** Undefined where the host knows none. */
  readonly code?: number;
  readonly reason?: string;
  /** Whether the client has said that it goes. */
  readonly clean?: boolean;
}

export class SessionLifecycle {
  readonly #host: LifecycleHost;
  readonly #lifecycle: Lifecycle;
  readonly #client: Client;
  /** Whether it was reported that the session is connected: what has never begun does not end. */
  #begun = false;
  /** The channels that the session was reported to have, where somebody hears whether any session has them. */
  #channels: Set<string> | undefined;

  constructor(host: LifecycleHost, lifecycle: Lifecycle, client: Client) {
    this.#host = host;
    this.#lifecycle = lifecycle;
    this.#client = client;
  }

  /** The session was connected before the host slept. */
  restored(): void {
    this.#begun = true;
  }

  /**
   * Undefined where it is kept, or nobody hears it.
   *
   * @throws MessagingError UNAVAILABLE
   */
  connected(channels: readonly string[]): Promise<void> | undefined {
    this.#begun = true;
    return this.#record([...this.#events("connected", [""]), ...this.#entered(channels)]);
  }

  /**
   * Undefined where it is kept, or nobody hears it.
   *
   * @param channels those that the session has not had before
   * @throws MessagingError UNAVAILABLE
   */
  subscribed(channels: readonly string[]): Promise<void> | undefined {
    return this.#record(this.#entered(channels));
  }

  /**
   * Undefined where it is kept, or nobody hears it.
   *
   * @param channels those that the session has had
   * @throws MessagingError UNAVAILABLE
   */
  unsubscribed(channels: readonly string[]): Promise<void> | undefined {
    return this.#record([...this.#events("unsubscribed", channels), ...this.#left(channels)]);
  }

  /** The end of all that the session has: its subscriptions end by this, without an event of their own. */
  disconnected({ code, reason = "", clean }: SessionEnd): void {
    if (!this.#begun) return;
    this.#begun = false;
    const end = { code: code ?? (clean === true ? 1000 : 1006), reason };
    const kept = this.#record([
      ...this.#events("disconnected", [""], end),
      ...this.#left([...(this.#channels ?? [])]),
    ]);
    if (kept !== undefined) background(kept, this.#host.logger, "telling that a session has ended");
  }

  #record(events: readonly LifecycleEvent[]): Promise<void> | undefined {
    if (events.length === 0) return undefined;
    try {
      return this.#lifecycle.record(events);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #entered(channels: readonly string[]): LifecycleEvent[] {
    const events = this.#events("subscribed", channels);
    const { kinds } = this.#lifecycle;
    if (!kinds.has("occupied") && !kinds.has("vacated")) return events;
    this.#channels ??= new Set();
    const first: string[] = [];
    for (const channel of channels) {
      // A session that hears a channel by a pattern does not occupy it.
      if (isPattern(channel) || this.#channels.has(channel)) continue;
      this.#channels.add(channel);
      if (this.#host.occupancy.enter(channel)) first.push(channel);
    }
    return [...events, ...this.#channelEvents("occupied", first)];
  }

  #left(channels: readonly string[]): LifecycleEvent[] {
    const last = channels.filter(
      (channel) => this.#channels?.delete(channel) && this.#host.occupancy.leave(channel),
    );
    return this.#channelEvents("vacated", last);
  }

  #channelEvents(kind: "occupied" | "vacated", channels: readonly string[]): LifecycleEvent[] {
    if (!this.#lifecycle.kinds.has(kind)) return [];
    const { clock, occupancy, random } = this.#host;
    return channels.map((channel) => {
      const time = clock.now();
      const sequence = occupancy.sequence(time);
      return channelEvent({ id: random.uuid(), kind, time, channel, sequence });
    });
  }

  #events(
    kind: LifecycleKind,
    channels: readonly string[],
    end: Pick<LifecycleEvent, "code" | "reason"> = { code: 0, reason: "" },
  ): LifecycleEvent[] {
    if (!this.#lifecycle.kinds.has(kind)) return [];
    const { clock, random } = this.#host;
    const { sessionId, userId, clientId, clientType } = this.#client;
    const about = { kind, time: clock.now(), sessionId, userId, clientId, clientType };
    return channels.map((channel) => ({
      id: random.uuid(),
      ...about,
      channel,
      ...end,
      sequence: 0,
    }));
  }
}
