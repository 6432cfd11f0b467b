/** Names in Redis. All keys of a channel share a hash tag, so that one script may touch them. */

/** In the order in which scripts take them. */
const PARTS = ["meta", "log", "dedup", "order", "members", "sessions", "leaving"] as const;

export class RedisKeys {
  readonly #prefix: string;
  /** Nodes that are heard of. */
  readonly alive: string;
  /** Nodes that are gone and whose members have not all been seen to. */
  readonly lost: string;
  /** Channels by when they were last listed as published to, and what is known of that list. */
  readonly active: string;
  readonly directory: string;
  /** Channels that are listed: their names, and up to when. */
  readonly names: string;
  readonly ends: string;
  /** By channel how many processes have it, and the last number of an event of a channel. */
  readonly occupied: string;
  readonly sequence: string;
  /** What is revoked, by when it was written; and up to when it is remembered. */
  readonly revoked: string;
  readonly revokedEnds: string;

  /** @param prefix without braces, which would make a hash tag of their own */
  constructor(prefix: string) {
    if (/[{}]/.test(prefix)) throw new RangeError("a prefix of Redis keys must not hold braces");
    this.#prefix = prefix;
    this.alive = `${prefix}{nodes}:alive`;
    this.lost = `${prefix}{nodes}:lost`;
    // Beside the nodes: where Redis has forgotten one, it has forgotten the other as well.
    this.active = `${prefix}{nodes}:active`;
    this.directory = `${prefix}{nodes}:directory`;
    this.names = `${prefix}{nodes}:names`;
    this.ends = `${prefix}{nodes}:ends`;
    this.occupied = `${prefix}{nodes}:lifecycle:occupied`;
    this.sequence = `${prefix}{nodes}:lifecycle:sequence`;
    this.revoked = `${prefix}{nodes}:revoked`;
    this.revokedEnds = `${prefix}{nodes}:revoked-ends`;
  }

  /** All keys of a channel. */
  channel(channel: string): readonly string[] {
    // A brace in the name would end the tag early, and two channels could then share their keys.
    const tag = channel.replace(/[%{}]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
    return PARTS.map((part) => `${this.#prefix}{${tag}}:${part}`);
  }

  /** What is known of a channel, one of its keys. */
  meta(channel: string): string {
    return this.channel(channel)[PARTS.indexOf("meta")] ?? "";
  }

  /** The members of a channel, one of its keys. */
  members(channel: string): string {
    return this.channel(channel)[PARTS.indexOf("members")] ?? "";
  }

  /** The sessions of a user. */
  user(id: string): string {
    return `${this.#prefix}user:${id}`;
  }

  /** The channels that a node answers for: it has members there, or somebody's grace is running. */
  channelsOf(node: string): string {
    return `${this.#prefix}{nodes}:of:${node}`;
  }

  /** What a process keeps of lifecycle events: the events, its sessions, that it was taken over, its channels. */
  lifecycle(
    node: string,
  ): readonly [events: string, sessions: string, taken: string, channels: string] {
    const name = `${this.#prefix}{nodes}:lifecycle:${node}`;
    return [`${name}:events`, `${name}:sessions`, `${name}:taken`, `${name}:channels`];
  }

  /** Name of a channel in Pub/Sub. */
  topic(channel: string): string {
    return `${this.#prefix}pub:${channel}`;
  }

  /** Where a node hears in Pub/Sub what others say to it. */
  mailbox(node: string): string {
    return `${this.#prefix}node:${node}`;
  }

  /**
   * The names in Pub/Sub of a pattern's channels, as globs of Redis. They match more: `*` crosses dots
   * there.
   */
  globs(pattern: string): readonly string[] {
    const words = pattern.split(".").map((word) => (word === "*" ? "*" : escaped(word)));
    const before = escaped(`${this.#prefix}pub:`);
    if (pattern.split(".").at(-1) !== "**") return [before + words.join(".")];
    words.pop();
    // Zero words, or more.
    return words.length === 0
      ? [`${before}*`]
      : [before + words.join("."), `${before}${words.join(".")}.*`];
  }

  /** The channel of a name in Pub/Sub. */
  channelOf(topic: string): string {
    return topic.slice(this.#prefix.length + "pub:".length);
  }
}

/** A text without a meaning of its own in a glob. */
function escaped(text: string): string {
  return text.replace(/[\\*?[\]]/g, (sign) => `\\${sign}`);
}
