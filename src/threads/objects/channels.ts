/** The channels of a thread: how many there may be, and how much they keep together. */

import { type Recent, RecentChannels } from "../../brokers/memory/recent-channels.ts";
import { Sweeper } from "../../brokers/memory/sweeper.ts";
import { made } from "../../channels/maps.ts";
import type { RuleBook } from "../../channels/rules.ts";
import { background } from "../../engine/background.ts";
import { CHANNEL_KINDS, channelEvent, type Lifecycle } from "../../engine/ports/lifecycle.ts";
import { Occupancy } from "../../engine/subscription/occupancy.ts";
import { indexOf } from "../../objects/calls/lease-terms.ts";
import { ChannelObject } from "../../objects/channel/object.ts";
import type { ObjectCalls } from "../../objects/ports/calls.ts";
import type { ChannelHearer } from "../../objects/ports/channel-hearer.ts";
import type { ObjectPlatform } from "../../objects/ports/platform.ts";
import { rateLimited } from "../../protocol/errors.ts";
import { Hosted } from "./hosted.ts";
import { MemoryChannelStore } from "./memory-stores.ts";

/** How long a client should wait when there are too many channels, in milliseconds. */
const FULL_RETRY_MS = 30_000;

export interface ThreadChannelsOptions {
  readonly platform: ObjectPlatform;
  readonly random: { epoch(): string; uuid(): string };
  readonly rules: RuleBook;
  /** Channels that there may be; one more is RATE_LIMITED. */
  readonly maxChannels: number;
  /** Bytes of messages that all of them keep together; of more, the oldest are let go. */
  readonly maxRetainedBytes: number;
  /** Whether channels are listed. */
  readonly reports: boolean;
  readonly calls: Pick<ObjectCalls, "gateway" | "index" | "stats">;
}

type HostedChannel = Hosted<ChannelObject, MemoryChannelStore>;

interface Channel extends Recent<Channel> {
  readonly hosted: HostedChannel;
  published: number;
  /** What it kept when it was last counted, in bytes. */
  counted: number;
}

export class ThreadChannels {
  /** Hears whether channels have subscribers; undefined where no hook wants that. */
  lifecycle: Lifecycle | undefined;
  readonly #options: ThreadChannelsOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #recent = new RecentChannels<Channel>();
  readonly #occupancy = new Occupancy();
  readonly #sweeper: Sweeper<Channel>;
  /** Bytes of messages that all channels keep. */
  #retained = 0;

  constructor(options: ThreadChannelsOptions) {
    this.#options = options;
    this.#sweeper = new Sweeper({
      things: this.#channels,
      timers: options.platform.timers,
      look: (channel) => {
        channel.hosted.object.trim();
        this.#count(channel);
        return false;
      },
    });
  }

  get size(): number {
    return this.#channels.size;
  }

  /** Bytes of messages that all channels keep, with what each takes beside its body. */
  get retainedBytes(): number {
    return this.#retained;
  }

  /**
   * Calls a channel.
   *
   * @throws MessagingError RATE_LIMITED where it would be one too many
   */
  run<Answer>(name: string, call: (object: ChannelObject) => Answer): Answer {
    return this.#channel(name).hosted.run(call);
  }

  /** The same, and afterwards what the channel keeps is within the bound of all. */
  publish<Answer>(name: string, call: (object: ChannelObject) => Answer): Answer {
    const channel = this.#channel(name);
    const answer = channel.hosted.run(call);
    const published = (): void => this.#published(channel);
    if (answer instanceof Promise) {
      return answer.then((late: unknown) => {
        published();
        return late;
      }) as Answer;
    }
    published();
    return answer;
  }

  /** Called where history was taken out of a channel. */
  recount(name: string): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined) this.#count(channel);
  }

  gatewayEnded(gateway: string): void {
    for (const { hosted } of this.#channels.values()) hosted.object.gatewayEnded(gateway);
  }

  /** Indexes have lost what they knew. */
  indexesEnded(isLost: (index: string) => boolean): void {
    for (const [name, { hosted }] of this.#channels) {
      if (isLost(indexOf(name))) hosted.object.indexEnded();
    }
  }

  #channel(name: string): Channel {
    return made(this.#channels, name, () => {
      if (this.#channels.size >= this.#options.maxChannels) {
        throw rateLimited("there are as many channels as there may be", FULL_RETRY_MS);
      }
      const channel: Channel = {
        hosted: this.#open(name),
        published: 0,
        counted: 0,
        older: undefined,
        newer: undefined,
      };
      this.#sweeper.start();
      return channel;
    });
  }

  #open(name: string): HostedChannel {
    const { calls, platform, random, reports, rules } = this.#options;
    return new Hosted<ChannelObject, MemoryChannelStore>({
      platform,
      store: () => new MemoryChannelStore(),
      open: ({ storage, store }) =>
        new ChannelObject({
          name,
          rules: () => rules.of(name),
          store,
          storage,
          calls,
          reports,
          hearer: this.#hearer(name),
          random,
          platform,
        }),
      gone: () => this.#forget(name),
    });
  }

  #published(channel: Channel): void {
    if (!this.#count(channel)) return;
    channel.published = this.#options.platform.clock.now();
    this.#recent.push(channel);
    this.#makeRoom();
  }

  #forget(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    this.#count(channel);
    this.#recent.delete(channel);
    this.#channels.delete(name);
  }

  /** Returns whether there is more than before. */
  #count(channel: Channel): boolean {
    const bytes = channel.hosted.store?.bytes ?? 0;
    const more = bytes - channel.counted;
    channel.counted = bytes;
    this.#retained += more;
    return more !== 0;
  }

  /** Lets messages go until all that is kept is within its bound. */
  #makeRoom(): void {
    const { maxRetainedBytes } = this.#options;
    while (this.#retained > maxRetainedBytes) {
      const channel = this.#recent.giver;
      if (channel === undefined) return;
      channel.hosted.object.shed(this.#retained - maxRetainedBytes);
      this.#count(channel);
      if (this.#retained > maxRetainedBytes) this.#recent.gaveAll();
    }
  }

  #hearer(channel: string): ChannelHearer | undefined {
    const { clock, logger } = this.#options.platform;
    const lifecycle = (): Lifecycle | undefined => this.lifecycle;
    if (!CHANNEL_KINDS.some((kind) => lifecycle()?.kinds.has(kind))) return undefined;
    return {
      changed: (occupied) => {
        const kind = occupied ? "occupied" : "vacated";
        const to = lifecycle();
        if (!to?.kinds.has(kind)) return;
        const time = clock.now();
        const sequence = this.#occupancy.sequence(time);
        const id = this.#options.random.uuid();
        const event = channelEvent({ id, kind, time, channel, sequence });
        background(Promise.resolve(to.record([event])), logger, "telling of a channel");
      },
      due: undefined,
      wake: () => {},
      forgotten: () => {},
    };
  }
}
