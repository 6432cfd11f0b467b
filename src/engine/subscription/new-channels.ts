/**
 * Channels count: how many a node may have, and how many one session may begin. A name costs memory for as
 * long as its position is kept, whether anybody comes back to it or not.
 */
import { rateLimited } from "../../protocol/errors.ts";
import type { Broker } from "../ports/broker.ts";
import type { Clock } from "../ports/platform.ts";
import type { Settings } from "../settings/settings.ts";
import { TokenBucket } from "../token-bucket.ts";

/** Names that one generation of a node's memory holds, where its broker cannot say what it knows. */
const GENERATION = 16_384;
/** How long a client should wait when the node has all the channels that it may have, in milliseconds. */
const FULL_RETRY_MS = 30_000;
const MINUTE_S = 60;

export interface NewChannelsHost {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly settings: Pick<Settings, "maxChannels" | "newChannelsPerMinute">;
}

/** The one whose new channels count. */
export interface Beginner {
  /** What it may still begin; made for its first new channel. */
  allowance: TokenBucket | undefined;
}

/** What a node knows of the names that are used on it. */
export class NewChannels {
  readonly #host: NewChannelsHost;
  /** The last names that were begun, where the broker does not say what it knows. */
  #young = new Set<string>();
  #old = new Set<string>();

  constructor(host: NewChannelsHost) {
    this.#host = host;
  }

  /**
   * Whether there is a place for one more channel or pattern that a session listens to.
   *
   * @param taken the places that are taken
   * @throws MessagingError RATE_LIMITED where there is none
   */
  checkRoom(taken: number): void {
    if (taken < this.#host.settings.maxChannels) return;
    throw rateLimited("this server has as many channels as it may have", FULL_RETRY_MS);
  }

  /**
   * Counts a channel that no session here listens to, if it is new to the node.
   *
   * @throws MessagingError RATE_LIMITED where the session has begun too many
   */
  count(channel: string, beginner: Beginner): void {
    const { broker, clock, settings } = this.#host;
    const { newChannelsPerMinute: most } = settings;
    if (most === 0 || this.#knows(channel)) return;
    const now = clock.now();
    beginner.allowance ??= new TokenBucket(most / MINUTE_S, most, now);
    const wait = beginner.allowance.take(now);
    if (wait > 0) throw rateLimited("too many new channels", wait);
    if (broker.knows === undefined) this.#note(channel);
  }

  #knows(channel: string): boolean {
    const { broker } = this.#host;
    if (broker.knows !== undefined) return broker.knows(channel);
    if (this.#young.has(channel)) return true;
    if (!this.#old.has(channel)) return false;
    this.#note(channel);
    return true;
  }

  #note(channel: string): void {
    this.#young.add(channel);
    if (this.#young.size < GENERATION) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
