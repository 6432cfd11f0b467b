/**
 * Which channels have been published to lately, over all nodes: a session that comes back to a pattern finds there
 * what began meanwhile. A node lists a channel beside the first publish of half a minute, so a busy
 * channel costs next to nothing.
 */
import { background } from "../../engine/background.ts";
import type { ActiveChannels, Position } from "../../engine/ports/broker.ts";
import type { EpochPool } from "./epoch-pool.ts";
import { type CallContext, patiently } from "./outage/retry.ts";
import type { RedisArgument } from "./ports.ts";
import { flagOf, nameOf, numberOf, textsOf } from "./reply.ts";
import { checkedAll, RUN, type Script, script } from "./scripts/script.ts";
import { chunks } from "./topic-subscriptions.ts";

/** How long a channel that was listed needs not be listed again, in milliseconds. */
const LISTED_MS = 30_000;
/** What the clocks of a node and of Redis may run apart in that time, in milliseconds. */
const MARGIN_MS = 5_000;
/** How long a channel stays listed, in milliseconds. */
const ACTIVE_MS = 24 * 3_600_000;
/** Names in one answer at most: a few milliseconds of Redis, and of a node's. */
const PAGE = 2_000;

/**
 * KEYS: active directory. ARGV: epoch of the next life, durable. The time never goes back. Every answer
 * begins with epoch and time.
 */
const PRELUDE = `${checkedAll("zset", "hash")}${RUN}
local clock = redis.call('TIME')
local known = redis.call('HMGET', KEYS[2], 'epoch', 'run', 'time', 'forgotten')
local now = math.max(clock[1] * 1000 + math.floor(clock[2] / 1000), tonumber(known[3] or 0))
-- Up to forgotten, channels may be missing from the list.
local epoch, forgotten = known[1], tonumber(known[4] or 0)
if not epoch or (known[2] ~= run and ARGV[2] == '0') then
  epoch, forgotten = ARGV[1], 0
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'run', run, 'forgotten', 0)
end
redis.call('HSET', KEYS[2], 'time', string.format('%d', now))
redis.call('PEXPIRE', KEYS[1], ${2 * ACTIVE_MS})
redis.call('PEXPIRE', KEYS[2], ${2 * ACTIVE_MS})
`;

/** Lists channels, and forgets old ones. ARGV after the prelude's: names. */
const LIST = script(
  "list",
  { epoch: nameOf, now: numberOf },
  `${PRELUDE}
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], string.format('%d', now), ARGV[i]) end
local old = now - ${ACTIVE_MS}
if redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%d', old)) > 0 then
  redis.call('HSET', KEYS[2], 'forgotten', string.format('%d', old))
end`,
);

/**
 * Names channels that were listed since a time, the last ones first, and says whether there may be more, and before
 * which time channels were forgotten, or 0. ARGV after the prelude's: the time, how many names to leave out, names at
 * most.
 */
const ACTIVE = script(
  "active",
  { epoch: nameOf, now: numberOf, forgotten: numberOf, more: flagOf, names: textsOf },
  `${PRELUDE}
local since, first, count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local more, names = 0, {}
if count > 0 then
  local listed = redis.call('ZREVRANGE', KEYS[1], first, first + count - 1, 'WITHSCORES')
  if #listed == 2 * count then more = 1 end
  for i = 1, #listed, 2 do
    if tonumber(listed[i + 1]) < since then
      more = 0
      break
    end
    names[#names + 1] = listed[i]
  end
end`,
);

export interface ActivityHost extends CallContext {
  readonly epochs: EpochPool;
  readonly durable: boolean;
  readonly nextTurn: (callback: () => void) => void;
}

export interface FoundChannels extends ActiveChannels {
  /** The place that was reached when it was asked. */
  readonly position: Position;
}

/** What is looked for among the active channels. */
export interface Search {
  readonly fits: (channel: string) => boolean;
  /** Channels that are looked at, at most; a gap `limit` where there are more. */
  readonly looks: number;
  /** Channels that are named, at most; the same. */
  readonly limit: number;
}

/** What a node knows of a channel that it has listed. */
interface Listed {
  /** By the node's clock, Unix milliseconds. */
  readonly at: number;
  /** Of the log that was published to since; undefined before. */
  epoch: string | undefined;
  /** Settles when Redis has it; undefined afterwards. */
  pending: Promise<void> | undefined;
}

export class ChannelActivity {
  readonly #host: ActivityHost;
  /** In the order of their times. */
  readonly #listed = new Map<string, Listed>();
  /** Names that wait for the next turn, and what is to be settled with them. */
  #waiting: { readonly names: string[]; readonly done: PromiseWithResolvers<void> } | undefined;

  constructor(host: ActivityHost) {
    this.#host = host;
  }

  /**
   * Sees to it that a channel is listed before what is published to it now is acknowledged.
   *
   * @returns undefined where that has been done lately
   * @throws MessagingError UNAVAILABLE
   */
  list(channel: string): Promise<void> | undefined {
    const now = this.#host.clock.now();
    const known = this.#listed.get(channel);
    // A clock that was set back must not keep a channel off the list.
    if (known !== undefined && Math.abs(now - known.at) < LISTED_MS) return known.pending;
    this.#waiting ??= this.#begin();
    this.#waiting.names.push(channel);
    const pending = this.#waiting.done.promise;
    this.#listed.delete(channel);
    this.#listed.set(channel, { at: now, epoch: undefined, pending });
    return pending;
  }

  /** A publish was answered: where the log has begun again the list of channels may have as well. */
  published(channel: string, epoch: string): Promise<void> | undefined {
    const known = this.#listed.get(channel);
    if (known === undefined || known.epoch === epoch) return undefined;
    if (known.epoch === undefined) {
      known.epoch = epoch;
      return undefined;
    }
    this.#listed.delete(channel);
    return this.list(channel);
  }

  /** What Redis knew may be lost: everything has to be listed again. */
  doubt(): void {
    this.#listed.clear();
  }

  /** @throws RedisFailure */
  async now(): Promise<Position> {
    const { position } = await this.#page(0, 0, 0);
    return position;
  }

  /**
   * Channels that may have been published to at a place or behind it, those that were listed last first.
   *
   * @throws RedisFailure
   */
  async active(since: Position, search: Search): Promise<FoundChannels> {
    const { fits, looks, limit } = search;
    const from = since.offset - LISTED_MS - MARGIN_MS;
    const found = new Set<string>();
    let limited = false;
    let looked = 0;
    let page = await this.#page(from, 0, Math.min(PAGE, looks));
    const { position } = page;
    const take = (names: readonly string[]): void => {
      for (const name of names) {
        if (found.has(name) || !fits(name)) continue;
        if (found.size < limit) found.add(name);
        else limited = true;
      }
    };
    for (;;) {
      looked += page.names.length;
      take(page.names);
      if (limited || !page.more) break;
      if (looked >= looks) limited = true;
      if (limited) break;
      page = await this.#page(from, looked, Math.min(PAGE, looks - looked));
    }
    // A channel that is listed again between two answers moves up, past those that were still to come.
    if (looked > PAGE && !limited) {
      page = await this.#page(position.offset, 0, PAGE);
      take(page.names);
      limited ||= page.more;
    }
    const changed = page.position.epoch !== since.epoch;
    const expired = page.forgotten > since.offset;
    const gap = expired ? "expired" : limited ? "limit" : undefined;
    return {
      // In another life of the list the first answer is worth nothing.
      position: page.position.epoch === position.epoch ? position : page.position,
      channels: [...found],
      gap: changed ? "epoch_changed" : gap,
    };
  }

  /** @param from a time, Unix milliseconds */
  async #page(from: number, first: number, count: number) {
    const terms = [from, first, count].map(String);
    const { epoch, now, ...page } = await this.#run(ACTIVE, terms);
    return { position: { epoch, offset: now }, ...page };
  }

  #begin() {
    const { nextTurn, troubles } = this.#host;
    nextTurn(() => background(this.#flush(), troubles.logger, "listing channels"));
    const names: string[] = [];
    return { names, done: Promise.withResolvers<void>() };
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    const { names, done } = waiting;
    try {
      const lists = chunks(names).map((some) => patiently(this.#host, () => this.#run(LIST, some)));
      await Promise.all(lists);
      for (const [, listed] of this.#pendingOn(names, done.promise)) listed.pending = undefined;
      done.resolve();
    } catch (error) {
      // A channel that was listed again meanwhile waits for another call.
      for (const [name] of this.#pendingOn(names, done.promise)) this.#listed.delete(name);
      done.reject(error);
    }
    this.#forget();
  }

  *#pendingOn(names: readonly string[], promise: Promise<void>): Iterable<[string, Listed]> {
    for (const name of names) {
      const listed = this.#listed.get(name);
      if (listed?.pending === promise) yield [name, listed];
    }
  }

  #forget(): void {
    const now = this.#host.clock.now();
    for (const [name, { at }] of this.#listed) {
      if (Math.abs(now - at) < LISTED_MS) return;
      this.#listed.delete(name);
    }
  }

  async #run<A extends { readonly epoch: string }>(
    call: Script<A>,
    terms: readonly RedisArgument[],
  ): Promise<A> {
    const { commands, keys, epochs, durable } = this.#host;
    const epoch = epochs.take();
    const names = [keys.active, keys.directory];
    const args = [epoch, durable ? "1" : "0", ...terms];
    const answer = call.read(await commands.run(call, names, args));
    if (answer.epoch !== epoch) epochs.giveBack(epoch);
    return answer;
  }
}
