/** Channels in the order of their last publish, so that those of the last minutes are found without a look at all. */

/** What stands in the order; a channel is its own link. */
export interface Recent<Self> {
  /** When it was last published to, Unix milliseconds; 0 before the first time. */
  readonly published: number;
  older: Self | undefined;
  newer: Self | undefined;
}

export class RecentChannels<Channel extends Recent<Channel>> {
  #newest: Channel | undefined;
  /** The oldest that has something to give; those that are older have given all. */
  #giver: Channel | undefined;

  /** The one that has been published to the longest time ago, of those that may have something to give. */
  get giver(): Channel | undefined {
    return this.#giver;
  }

  /** The giver has given all that it had. It has something again when it is published to. */
  gaveAll(): void {
    this.#giver = this.#giver?.newer;
  }

  /** A channel has been published to, later than all others. */
  push(channel: Channel): void {
    if (this.#newest !== channel) this.#append(channel);
    this.#giver ??= channel;
  }

  #append(channel: Channel): void {
    this.delete(channel);
    channel.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = channel;
    this.#newest = channel;
  }

  delete(channel: Channel): void {
    const { older, newer } = channel;
    if (this.#giver === channel) this.#giver = newer;
    if (older !== undefined) older.newer = newer;
    if (newer !== undefined) newer.older = older;
    else if (this.#newest === channel) this.#newest = older;
    channel.older = undefined;
    channel.newer = undefined;
  }

  /** Those that were published to at a time or later, the newest first. */
  *since(time: number): Iterable<Channel> {
    for (let at = this.#newest; at !== undefined && at.published >= time; at = at.older) yield at;
  }
}
