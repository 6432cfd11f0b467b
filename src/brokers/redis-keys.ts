/** Names in Redis. All keys of a channel share a hash tag, so that one script may touch them. */

/** In the order in which scripts take them. */
const PARTS = ["meta", "log", "dedup", "order", "members", "sessions", "leaving"] as const;

export class RedisKeys {
  readonly #prefix: string;
  /** Nodes that are heard of. */
  readonly alive: string;
  /** Nodes that are gone and whose members have not all been seen to. */
  readonly lost: string;

  /** @param prefix without braces, which would make a hash tag of their own */
  constructor(prefix: string) {
    if (/[{}]/.test(prefix)) throw new RangeError("a prefix of Redis keys must not hold braces");
    this.#prefix = prefix;
    this.alive = `${prefix}{nodes}:alive`;
    this.lost = `${prefix}{nodes}:lost`;
  }

  /** All keys of a channel. */
  channel(channel: string): readonly string[] {
    // A brace in the name would end the tag early, and two channels could then share their keys.
    const tag = channel.replace(/[%{}]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
    return PARTS.map((part) => `${this.#prefix}{${tag}}:${part}`);
  }

  /** The channels that a node answers for: it has members there, or somebody's grace is running. */
  channelsOf(node: string): string {
    return `${this.#prefix}{nodes}:of:${node}`;
  }

  /** Name of a channel in Pub/Sub. */
  topic(channel: string): string {
    return `${this.#prefix}pub:${channel}`;
  }

  /** Where a node hears in Pub/Sub what others say to it. */
  mailbox(node: string): string {
    return `${this.#prefix}node:${node}`;
  }

  /** The channel of a name in Pub/Sub. */
  channelOf(topic: string): string {
    return topic.slice(this.#prefix.length + "pub:".length);
  }
}
