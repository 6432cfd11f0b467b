/** The directory of a single process: maps, and the channels that there are anyway. */
import { firstWhere } from "../../channels/halving.ts";
import { compareNames } from "../../channels/name-order.ts";
import { matcherOf } from "../../channels/patterns.ts";
import type {
  ChannelPage,
  ChannelQuery,
  Directory,
  JoinAnswer,
  ListedChannel,
  UserSession,
} from "../../engine/ports/directory.ts";

/** Channels that are looked at in one turn of the event loop: a millisecond or two. */
const LOOKED_AT = 5_000;

export interface MemoryDirectoryHost {
  /** Channels that are listed, in any order. It may change while it is iterated. */
  channels(): Iterable<ListedChannel>;
  /** Unix milliseconds. */
  now(): number;
  /** Calls back in the next turn of the event loop. */
  readonly nextTurn: (callback: () => void) => void;
}

export class MemoryDirectory implements Directory {
  readonly #host: MemoryDirectoryHost;
  /** By user, and then by id. */
  readonly #users = new Map<string, Map<string, UserSession>>();

  constructor(host: MemoryDirectoryHost) {
    this.#host = host;
  }

  async join(userId: string, session: UserSession, limit = 0): Promise<JoinAnswer> {
    const sessions = this.#users.get(userId);
    if (sessions === undefined) {
      this.#users.set(userId, new Map([[session.sessionId, session]]));
    } else if (limit > 0 && sessions.size >= limit && !sessions.has(session.sessionId)) {
      return { full: true, revocations: [] };
    } else sessions.set(session.sessionId, session);
    return { full: false, revocations: [] };
  }

  leave(userId: string, sessionId: string): void {
    const sessions = this.#users.get(userId);
    sessions?.delete(sessionId);
    if (sessions?.size === 0) this.#users.delete(userId);
  }

  async sessions(userId: string): Promise<readonly UserSession[]> {
    return [...(this.#users.get(userId)?.values() ?? [])];
  }

  forget(userId: string, sessionIds: readonly string[]): void {
    for (const sessionId of sessionIds) this.leave(userId, sessionId);
  }

  async channels({ pattern, after, limit }: ChannelQuery): Promise<ChannelPage> {
    const fits = matcherOf(pattern);
    const first = new FirstNames(limit);
    const asOf = this.#host.now();
    let looked = 0;
    for (const listed of this.#host.channels()) {
      looked += 1;
      if (looked % LOOKED_AT === 0) await new Promise<void>(this.#host.nextTurn);
      if (compareNames(listed.channel, after) > 0 && fits(listed.channel)) first.add(listed);
    }
    const { channels, more } = first;
    return { channels, next: more ? channels.at(-1)?.channel : undefined, asOf };
  }
}

/** The first of many by their names, in order. */
class FirstNames {
  readonly channels: ListedChannel[] = [];
  /** There are more. */
  more = false;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  add(listed: ListedChannel): void {
    const { channels } = this;
    const last = channels.at(-1);
    const full = channels.length >= this.#most;
    if (full && last !== undefined && compareNames(listed.channel, last.channel) > 0) {
      this.more = true;
      return;
    }
    const isBehind = (at: number): boolean =>
      compareNames(channels[at]?.channel ?? "", listed.channel) >= 0;
    channels.splice(firstWhere(0, channels.length, isBehind), 0, listed);
    if (!full) return;
    channels.pop();
    this.more = true;
  }
}
