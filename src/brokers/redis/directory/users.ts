/**
 * Which sessions the users of all nodes have: a sorted set for each user, of its sessions by the end of their leases.
 * Each node renews the leases of its own, so that what a node leaves behind is gone when they have run out, and what
 * Redis has forgotten is there again.
 */
import { made } from "../../../channels/maps.ts";
import { background } from "../../../engine/background.ts";
import type { UserSession } from "../../../engine/ports/directory.ts";
import { type CallContext, patiently } from "../outage/retry.ts";
import { flagOf, textsOf } from "../reply.ts";
import { checkedAll, NOW, type Script, script } from "../scripts/script.ts";

/** How long a session is found that its node does not renew, in milliseconds. */
const LEASE_MS = 5 * 60_000;
/** How often a node renews the leases of its sessions, in milliseconds. */
export const RENEW_MS = LEASE_MS / 3;
/** Users that are reported at the same time. */
const TOGETHER = 256;

const PRELUDE = checkedAll("zset") + NOW;

/**
 * Sessions have come, or are still there. KEYS: the user's. ARGV: sessions that the user may have, 0 for any number;
 * and sessions, each as its time, a space and its id. Where one is too many it has not joined, and the answer says so.
 */
const JOIN = script(
  "user-join",
  { joined: flagOf },
  `${PRELUDE}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))
local limit = tonumber(ARGV[1])
local joined = 1
for i = 2, #ARGV do
  local new = limit > 0 and not redis.call('ZSCORE', KEYS[1], ARGV[i])
  if new and redis.call('ZCARD', KEYS[1]) >= limit then
    joined = 0
  else
    redis.call('ZADD', KEYS[1], string.format('%d', now + ${LEASE_MS}), ARGV[i])
  end
end
redis.call('PEXPIRE', KEYS[1], ${LEASE_MS})`,
);

/** Sessions are not known where they should be. ARGV: their ids. */
const FORGET = script(
  "user-forget",
  {},
  `${PRELUDE}
local gone = {}
for i = 1, #ARGV do gone[ARGV[i]] = true end
for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if gone[string.match(entry, ' (.*)$')] then redis.call('ZREM', KEYS[1], entry) end
end`,
);

/** Answers the sessions whose lease has not run out. */
const SESSIONS = script(
  "user-sessions",
  { sessions: textsOf },
  `${PRELUDE}
local sessions = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%d', now), '+inf')`,
);

export interface UsersHost extends CallContext {}

export class RedisUsers {
  readonly #host: UsersHost;
  /** The sessions of this node by user, and then by id. */
  readonly #users = new Map<string, Map<string, UserSession>>();

  constructor(host: UsersHost) {
    this.#host = host;
  }

  /** Users with sessions on this node. */
  get size(): number {
    return this.#users.size;
  }

  /**
   * @param limit sessions that the user may have; 0 for any number
   * @returns false where this one is too many: it has not joined
   * @throws MessagingError UNAVAILABLE
   */
  async join(userId: string, session: UserSession, limit: number): Promise<boolean> {
    made(this.#users, userId, () => new Map()).set(session.sessionId, session);
    return await patiently(this.#host, async () => {
      // It may have gone since the last try.
      const still = this.#users.get(userId)?.get(session.sessionId);
      if (still === undefined) return true;
      const { joined } = await this.#run(JOIN, userId, [`${limit}`, written(still)]);
      if (joined) return true;
      this.#remove(userId, session.sessionId);
      return false;
    });
  }

  /** Whether a session of this node is one of the user's. */
  has(userId: string, sessionId: string): boolean {
    return this.#users.get(userId)?.has(sessionId) === true;
  }

  #remove(userId: string, sessionId: string): UserSession | undefined {
    const sessions = this.#users.get(userId);
    const session = sessions?.get(sessionId);
    sessions?.delete(sessionId);
    if (sessions?.size === 0) this.#users.delete(userId);
    return session;
  }

  leave(userId: string, sessionId: string): void {
    const session = this.#remove(userId, sessionId);
    if (session === undefined) return;
    const { commands, keys } = this.#host;
    const key = keys.user(userId);
    this.#tell(() => commands.command(key, ["ZREM", key, written(session)]));
  }

  /** The same, and resolves when it is done. @throws MessagingError UNAVAILABLE */
  async drop(userId: string, sessionIds: readonly string[]): Promise<void> {
    await patiently(this.#host, () => this.#run(FORGET, userId, sessionIds));
  }

  /** Sessions whatever node they are of. */
  forget(userId: string, sessionIds: readonly string[]): void {
    this.#tell(() => this.#run(FORGET, userId, sessionIds));
  }

  /** What cannot be reported now is forgotten when the lease has run out. */
  #tell(call: () => Promise<unknown>): void {
    const { troubles } = this.#host;
    const told = patiently(this.#host, call);
    const noted = told.catch((error: unknown) => troubles.note("forgetting sessions", error));
    background(noted, troubles.logger, "forgetting sessions");
  }

  /** @throws MessagingError UNAVAILABLE */
  async sessions(userId: string): Promise<UserSession[]> {
    const { sessions } = await patiently(this.#host, () => this.#run(SESSIONS, userId, []));
    return sessions.map(read);
  }

  /** Renews the leases of this node's sessions. Never rejects: what fails is done the next time. */
  async renew(): Promise<void> {
    const users = [...this.#users.keys()];
    for (let i = 0; i < users.length; i += TOGETHER) {
      const told = users.slice(i, i + TOGETHER).map(async (userId) => {
        const sessions = [...(this.#users.get(userId)?.values() ?? [])];
        if (sessions.length > 0) await this.#run(JOIN, userId, ["0", ...sessions.map(written)]);
      });
      this.#host.troubles.noteAll("renewing sessions", await Promise.allSettled(told));
    }
  }

  async #run<A>(call: Script<A>, userId: string, terms: readonly string[]): Promise<A> {
    const { commands, keys } = this.#host;
    return call.read(await commands.run(call, [keys.user(userId)], terms));
  }
}

function written({ sessionId, since }: UserSession): string {
  return `${since} ${sessionId}`;
}

function read(entry: string): UserSession {
  const space = entry.indexOf(" ");
  return { sessionId: entry.slice(space + 1), since: Number(entry.slice(0, space)) };
}
