/** The directory of all nodes in Redis. */
import { background } from "../../../engine/background.ts";
import type {
  ChannelPage,
  ChannelQuery,
  Directory,
  JoinAnswer,
  UserSession,
} from "../../../engine/ports/directory.ts";
import { Interval } from "../outage/interval.ts";
import { type ChannelsHost, RedisChannels } from "./channels.ts";
import { RENEW_MS, RedisUsers, type UsersHost } from "./users.ts";

export interface DirectoryHost extends ChannelsHost, UsersHost {
  /** This process: what the ids of its sessions begin with. */
  readonly node: string;
  /** The other processes that are there. @throws MessagingError UNAVAILABLE */
  others(): Promise<readonly string[]>;
}

export class RedisDirectory implements Directory {
  readonly #host: DirectoryHost;
  readonly #users: RedisUsers;
  readonly #channels: RedisChannels;
  readonly #renewals: Interval;

  constructor(host: DirectoryHost) {
    this.#host = host;
    this.#users = new RedisUsers(host);
    this.#channels = new RedisChannels(host);
    this.#renewals = new Interval(host, RENEW_MS, "renewing sessions", () => this.#users.renew());
  }

  /** Renews the leases of this node's sessions from now on. */
  start(): void {
    this.#renewals.start();
  }

  end(): void {
    this.#renewals.end();
  }

  /** What Redis knew may be lost. */
  doubt(): void {
    this.#channels.doubt();
    background(this.#users.renew(), this.#host.troubles.logger, "renewing sessions");
  }

  /** Something was published to a channel, or a session of this node has subscribed to it or left it. */
  touch(channel: string): void {
    this.#channels.tell(channel);
  }

  /** Comes now and then, with the channels that sessions of this node are subscribed to. */
  refresh(subscribed: Iterable<string>): void {
    this.#channels.sweep();
    for (const channel of subscribed) this.#channels.tell(channel);
  }

  async join(userId: string, session: UserSession, limit = 0): Promise<JoinAnswer> {
    let joined = await this.#users.join(userId, session, limit);
    if (!joined && (await this.#dropLost(userId))) {
      joined = await this.#users.join(userId, session, limit);
    }
    return { full: !joined, revocations: [] };
  }

  leave(userId: string, sessionId: string): void {
    this.#users.leave(userId, sessionId);
  }

  async sessions(userId: string): Promise<readonly UserSession[]> {
    return await this.#users.sessions(userId);
  }

  forget(userId: string, sessionIds: readonly string[]): void {
    this.#users.forget(userId, sessionIds);
  }

  /** What a lost node has left behind must not keep the user out until its leases have run out. */
  async #dropLost(userId: string): Promise<boolean> {
    const { node, others, troubles } = this.#host;
    try {
      const [sessions, there] = await Promise.all([this.#users.sessions(userId), others()]);
      const alive = new Set(there);
      const lost = sessions
        .map(({ sessionId }) => sessionId)
        .filter((id) => {
          const its = id.slice(0, Math.max(id.indexOf("."), 0));
          return its === node ? !this.#users.has(userId, id) : !alive.has(its);
        });
      if (lost.length > 0) await this.#users.drop(userId, lost);
      return lost.length > 0;
    } catch (error) {
      // A session that is not known to be gone is still there.
      troubles.note("looking for lost sessions", error);
      return false;
    }
  }

  async channels(query: ChannelQuery): Promise<ChannelPage> {
    return await this.#channels.list(query);
  }
}
