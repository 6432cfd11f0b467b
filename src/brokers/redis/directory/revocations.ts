/**
 * What is revoked over all nodes: a sorted set in Redis, in the order in which it was written, and one of the times up
 * to which each entry is remembered. Every node knows all of it, and reads every few seconds what has been added.
 */
import { background } from "../../../engine/background.ts";
import type { Identity } from "../../../engine/ports/identity.ts";
import type { EndRevoked, Revocation, Revocations } from "../../../engine/ports/revocations.ts";
import { rateLimited } from "../../../protocol/errors.ts";
import { MAX_REVOCATIONS } from "../../../protocol/limits.ts";
import { RevocationList } from "../../revocations/list.ts";
import { Interval } from "../outage/interval.ts";
import { type CallContext, patiently } from "../outage/retry.ts";
import { flagOf, rowsOf, textOf } from "../reply.ts";
import { checkedAll, NOW, script } from "../scripts/script.ts";
import { chunks } from "../topic-subscriptions.ts";

/** Entries that are read at once. */
const PAGE = 1_000;
/** Entries that are let go with each call, at most. */
const LET_GO = 1_000;
/** How long a caller should wait that has revoked too much, in milliseconds. */
const FULL_RETRY_MS = 60_000;

const KEYS = checkedAll("zset", "zset");

/**
 * KEYS: entries, ends. ARGV: entries that there may be, and for each entry for how long it is remembered, in
 * milliseconds, and the entry. Where there are too many already nothing is remembered, and the answer says so. Each
 * entry has a score of its own, which rises.
 */
const REVOKE = script(
  "revoke",
  { remembered: flagOf },
  `${KEYS}${NOW}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%d', now), 'LIMIT', 0, ${LET_GO})) do
  redis.call('ZREM', KEYS[1], entry)
  redis.call('ZREM', KEYS[2], entry)
end
local remembered = 0
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  remembered = 1
  local top = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  local score = math.max(now, tonumber(top or 0))
  for i = 2, #ARGV, 2 do
    score = score + 1
    redis.call('ZADD', KEYS[1], string.format('%d', score), ARGV[i + 1])
    redis.call('ZADD', KEYS[2], 'GT', string.format('%d', now + tonumber(ARGV[i])), ARGV[i + 1])
  end
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
  for i = 1, 2 do redis.call('PEXPIREAT', KEYS[i], string.format('%d', tonumber(last) + 1000)) end
end`,
);

/** KEYS: entries, ends. ARGV: the score after which to begin. Answers entries, each with its score. */
const READ = script(
  "revoked",
  {
    rows: (reply) =>
      rowsOf(reply).map(([entry, score]) => ({ entry: textOf(entry), score: textOf(score) })),
  },
  `${KEYS}
local rows = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ${PAGE})`,
);

export interface RevocationsHost extends CallContext {
  /** How often it is read what others have revoked, in milliseconds: less than half of 10 s. */
  readonly beatMs: number;
}

export class RedisRevocations implements Revocations {
  readonly durable = true;
  readonly #host: RevocationsHost;
  readonly #list = new RevocationList();
  /** Score of the last entry that was read. */
  #read = "0";
  #end: EndRevoked | undefined;
  readonly #readings: Interval;

  constructor(host: RevocationsHost) {
    this.#host = host;
    // What fails is read the next time.
    this.#readings = new Interval(host, host.beatMs, "reading what is revoked", () =>
      this.#readAll(),
    );
  }

  start(end: EndRevoked): void {
    this.#end = end;
  }

  /**
   * Reads what is revoked, now and from now on.
   *
   * @throws RedisFailure where it cannot be read now: then a node must not take sessions
   */
  async begin(): Promise<void> {
    await this.#readAll();
    this.#readings.start();
  }

  end(): void {
    this.#readings.end();
  }

  async revoke(revocation: Revocation): Promise<void> {
    const remembered = await patiently(this.#host, () =>
      this.#write(MAX_REVOCATIONS, [revocation]),
    );
    if (!remembered) throw rateLimited("too much is revoked already", FULL_RETRY_MS);
    this.#take([revocation]);
  }

  revoked(identity: Identity): boolean {
    return this.#list.revoked(identity, this.#host.clock.now());
  }

  /** What Redis knew may be lost: all that this node knows is sent to it, and it is read from the beginning. */
  doubt(): void {
    const { troubles } = this.#host;
    this.#read = "0";
    background(this.#tellAll(), troubles.logger, "telling what is revoked");
  }

  async #tellAll(): Promise<void> {
    const { troubles } = this.#host;
    for (const some of chunks([...this.#list.all()])) {
      const told = await Promise.allSettled([
        patiently(this.#host, () => this.#write(Number.MAX_SAFE_INTEGER, some)),
      ]);
      troubles.noteAll("telling what is revoked", told);
    }
  }

  /** Returns false where there is too much. @throws RedisFailure */
  async #write(limit: number, revocations: readonly Revocation[]): Promise<boolean> {
    const { clock, commands, keys } = this.#host;
    const now = clock.now();
    const terms = revocations
      .filter(({ until }) => until > now)
      .flatMap((one) => [`${Math.ceil(one.until - now)}`, written(one)]);
    if (terms.length === 0) return true;
    const reply = await commands.run(
      REVOKE,
      [keys.revoked, keys.revokedEnds],
      [`${limit}`, ...terms],
    );
    return REVOKE.read(reply).remembered;
  }

  async #readAll(): Promise<void> {
    const { clock, commands, keys } = this.#host;
    this.#list.dropOver(clock.now());
    for (let more = true; more; ) {
      const from = this.#read;
      const { rows } = READ.read(
        await commands.run(READ, [keys.revoked, keys.revokedEnds], [from]),
      );
      // Meanwhile it may have become doubtful.
      if (this.#read !== from) continue;
      more = rows.length >= PAGE;
      this.#read = rows.at(-1)?.score ?? from;
      this.#take(rows.flatMap(({ entry }) => read(entry) ?? []));
    }
  }

  /** Ends the sessions that are concerned by what is new. */
  #take(revocations: readonly Revocation[]): void {
    const now = this.#host.clock.now();
    const fresh = revocations.filter((one) => one.until > now && this.#list.add(one));
    if (fresh.length > 0) this.#end?.(fresh);
  }
}

function written({ userId, tokenId, time, until }: Revocation): string {
  return JSON.stringify([userId, tokenId, time, until]);
}

/** Undefined for what is nothing of ours. */
function read(entry: string): Revocation | undefined {
  try {
    const [userId, tokenId, time, until] = JSON.parse(entry) as unknown[];
    const texts = typeof userId === "string" && typeof tokenId === "string";
    if (!texts || typeof time !== "number" || typeof until !== "number") return undefined;
    return { userId, tokenId, time, until };
  } catch {
    return undefined;
  }
}
