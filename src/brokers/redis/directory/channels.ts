/**
 * Which channels there are over all nodes: a sorted set of their names in order, and one of the times up to which each
 * is listed. A node reports a channel beside its first publish or subscription, and again only when a part of the
 * channel's position ttl has passed, so that a busy channel costs next to nothing.
 */

import { compareNames, type NameRange, nameRange } from "../../../channels/name-order.ts";
import { matcherOf } from "../../../channels/patterns.ts";
import type { RuleBook } from "../../../channels/rules.ts";
import { background } from "../../../engine/background.ts";
import type { ChannelPage, ChannelQuery, ListedChannel } from "../../../engine/ports/directory.ts";
import { type CallContext, patiently } from "../outage/retry.ts";
import { flagOf, numberOf, rowsOf, textOf } from "../reply.ts";
import { checkedAll, NOW, script } from "../scripts/script.ts";
import { chunks } from "../topic-subscriptions.ts";

/** The part of its position ttl that a channel is listed for longer, and after which it is reported again. */
const SPARE_PART = 1 / 64;
/** The least of it, in milliseconds. */
const MIN_SPARE_MS = 60_000;
/** Names that one question looks at, whether they fit or not. */
export const MAX_LOOKS = 2_000;
/** Names that are let go with each call, at most. */
const LET_GO = 1_000;
/** How old an answer may be: what was reported a moment ago may be on its way, in milliseconds. */
const ON_ITS_WAY_MS = 1_000;

const PRELUDE = checkedAll("zset", "zset") + NOW;

/** KEYS: names, ends. ARGV: for each channel for how long it is listed, in milliseconds, and its name. */
const TELL = script(
  "channels-tell",
  {},
  `${PRELUDE}
for i = 1, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 0, ARGV[i + 1])
  redis.call('ZADD', KEYS[2], 'GT', string.format('%d', now + tonumber(ARGV[i])), ARGV[i + 1])
end
-- Some of those whose time is over.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%d', now), 'LIMIT', 0, ${LET_GO})) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
for i = 1, 2 do
  if last then redis.call('PEXPIREAT', KEYS[i], string.format('%d', tonumber(last) + 1000)) end
end`,
);

/**
 * KEYS: names, ends. ARGV: where to begin and where to end, as ZRANGEBYLEX has it, and names at most. Answers the time,
 * and for each name whether it is listed, and the name.
 */
const LIST = script(
  "channels-list",
  {
    now: numberOf,
    rows: (reply) =>
      rowsOf(reply).map(([listed, name]) => ({ listed: flagOf(listed), name: textOf(name) })),
  },
  `${PRELUDE}
local rows = {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local listed = tonumber(redis.call('ZSCORE', KEYS[2], name) or 0) > now
  rows[#rows + 1] = listed and 1 or 0
  rows[#rows + 1] = name
end`,
);

export interface ChannelsHost extends CallContext {
  readonly rules: RuleBook;
  readonly nextTurn: (callback: () => void) => void;
}

export class RedisChannels {
  readonly #host: ChannelsHost;
  /** Up to when a channel need not be reported again, by this node's clock in Unix milliseconds. */
  readonly #told = new Map<string, number>();
  /** Names that wait for the next turn. */
  #waiting = new Set<string>();

  constructor(host: ChannelsHost) {
    this.#host = host;
  }

  /** Channels that are remembered. */
  get size(): number {
    return this.#told.size;
  }

  /** Something was published to a channel, or somebody is subscribed to it. */
  tell(name: string): void {
    const now = this.#host.clock.now();
    const until = this.#told.get(name);
    const spare = this.#spareOf(name);
    // A clock that was set back must not keep a channel off the list.
    if (until !== undefined && now < until && until <= now + spare) return;
    this.#told.set(name, now + spare);
    if (this.#waiting.size === 0) this.#flushSoon();
    this.#waiting.add(name);
  }

  /** What Redis knew may be lost: everything is reported again. */
  doubt(): void {
    this.#told.clear();
  }

  /** Lets go of what has not been reported for long. */
  sweep(): void {
    const now = this.#host.clock.now();
    for (const [name, until] of this.#told) if (until <= now) this.#told.delete(name);
  }

  /** @throws MessagingError UNAVAILABLE */
  async list({ pattern, after, limit }: ChannelQuery): Promise<ChannelPage> {
    const { commands, keys } = this.#host;
    const fits = matcherOf(pattern);
    const [first, end] = bounds(after, nameRange(pattern));
    const { now, rows } = await patiently(this.#host, async () =>
      LIST.read(await commands.run(LIST, [keys.names, keys.ends], [first, end, `${MAX_LOOKS}`])),
    );
    const names: string[] = [];
    let next = rows.length < MAX_LOOKS ? undefined : rows.at(-1)?.name;
    for (const { name, listed } of rows) {
      if (!listed || !fits(name)) continue;
      if (names.push(name) < limit) continue;
      next = name;
      break;
    }
    const channels = await Promise.all(names.map((name) => this.#listed(name)));
    return { channels, next, asOf: Math.max(now - ON_ITS_WAY_MS, 0) };
  }

  async #listed(channel: string): Promise<ListedChannel> {
    const { commands, keys } = this.#host;
    const [meta, members] = [keys.meta(channel), keys.members(channel)];
    const [count, known] = await Promise.all([
      patiently(this.#host, () => commands.command(members, ["ZCARD", members])),
      patiently(this.#host, () => commands.command(meta, ["HMGET", meta, "epoch", "head"])),
    ]);
    const listed = { channel, members: numberOf(count) };
    const [epoch, head] = Array.isArray(known) ? known : [];
    // Redis may have forgotten the log of a channel that is listed still.
    if (epoch === null || epoch === undefined) return listed;
    return { ...listed, head: { epoch: textOf(epoch), offset: Number(textOf(head ?? "0")) } };
  }

  #spareOf(name: string): number {
    return Math.max(this.#host.rules.of(name).positionTtlMs * SPARE_PART, MIN_SPARE_MS);
  }

  #flushSoon(): void {
    const { nextTurn, troubles } = this.#host;
    nextTurn(() => background(this.#flush(), troubles.logger, "telling of channels"));
  }

  /** What fails is reported with the next publish, or the next refresh of subscribed channels. */
  async #flush(): Promise<void> {
    const names = [...this.#waiting];
    this.#waiting = new Set();
    const { commands, keys, rules, troubles } = this.#host;
    const told = chunks(names).map(async (some) => {
      const terms = some.flatMap((name) => {
        // Told again only when the spare has passed, it is listed for its whole time from any publish on.
        const listedMs = rules.of(name).positionTtlMs + this.#spareOf(name);
        return [`${Math.ceil(listedMs)}`, name];
      });
      try {
        await patiently(this.#host, () => commands.run(TELL, [keys.names, keys.ends], terms));
      } catch (error) {
        for (const name of some) this.#told.delete(name);
        throw error;
      }
    });
    troubles.noteAll("telling of channels", await Promise.allSettled(told));
  }
}

/** Where names behind one and inside a range lie, in the words of ZRANGEBYLEX. */
function bounds(after: string, { first, end }: NameRange): readonly [string, string] {
  return [
    compareNames(after, first) >= 0 ? `(${after}` : `[${first}`,
    end === undefined ? "+" : `(${end}`,
  ];
}
