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

  /** A channel has been published to, later than all others. */
  push(channel: Channel): void {
    if (this.#newest === channel) return;
    this.delete(channel);
    channel.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = channel;
    this.#newest = channel;
  }

  delete(channel: Channel): void {
    const { older, newer } = channel;
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
