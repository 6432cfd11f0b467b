/**
 * The directory as a gateway has it: it reports to the objects of users which of its sessions are theirs, and asks
 * them, and asks the counters of all regions which channels there are.
 */
import { made } from "../../channels/maps.ts";
import { compareNames } from "../../channels/name-order.ts";
import { background } from "../../engine/background.ts";
import type {
  ChannelPage,
  ChannelQuery,
  Directory,
  JoinAnswer,
  ListedChannel,
  RegionReport,
  UserSession,
} from "../../engine/ports/directory.ts";
import { encodeUserChange, listOf, sessionsOf } from "../calls/directory-calls.ts";
import { retrying, toDirectory } from "../calls/retry.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import { Trouble } from "../trouble.ts";
import { CallSlots } from "./call-slots.ts";
import { reportsOf } from "./figures.ts";
import { ObjectRevocations } from "./revocations.ts";
import { UserRegistration, type UserRegistrationHost } from "./user-registration.ts";

/** Users that a sweep settles at the same time. */
const SWEPT_TOGETHER = 32;

export interface ObjectDirectoryOptions
  extends Omit<UserRegistrationHost, "revoked" | "tellings" | "trouble"> {
  readonly calls: Pick<ObjectCalls, "user" | "stats">;
  /** All regions that channels report to. */
  readonly regions: readonly string[];
  /** Whether what objects keep outlives every process. Default true. */
  readonly durable?: boolean;
}

export class ObjectDirectory implements Directory {
  readonly revocations: ObjectRevocations;
  readonly #options: ObjectDirectoryOptions;
  readonly #host: UserRegistrationHost;
  readonly #users = new Map<string, UserRegistration>();
  readonly #trouble: Trouble;

  constructor(options: ObjectDirectoryOptions) {
    const { platform, turn } = options;
    this.#options = options;
    this.#trouble = new Trouble("calls to the directory", platform);
    this.revocations = new ObjectRevocations({ ...options, trouble: this.#trouble });
    this.#host = {
      ...options,
      trouble: this.#trouble,
      revoked: (revocations, entering) => this.revocations.heard(revocations, entering),
      tellings: new CallSlots(turn, platform.timers),
    };
  }

  /** Users with sessions here, or whose objects still have to hear that they have none. */
  get registrations(): number {
    return this.#options.userRegistrations.size;
  }

  async join(userId: string, session: UserSession, limit = 0): Promise<JoinAnswer> {
    return await this.#user(userId).join(session, limit);
  }

  leave(userId: string, sessionId: string): void {
    const user = this.#user(userId);
    user.leave(sessionId);
    background(this.#settle(userId, user), this.#options.platform.logger, "telling of a user");
  }

  restore(userId: string, session: UserSession): void {
    this.#user(userId).restore(session);
  }

  async sessions(userId: string): Promise<readonly UserSession[]> {
    return await this.#ask(() => sessionsOf(this.#options.calls.user(userId)));
  }

  forget(userId: string, sessionIds: readonly string[]): void {
    // A caller without a gateway speaks for no sessions.
    const request = encodeUserChange({
      gateway: "",
      sequence: 0,
      joined: [],
      left: sessionIds,
      complete: false,
      connecting: new Set(),
      limit: 0,
    });
    const told = this.#ask(() => this.#options.calls.user(userId).update(request));
    background(told, this.#options.platform.logger, "forgetting sessions of a user");
  }

  async channels(query: ChannelQuery): Promise<ChannelPage> {
    const { calls, regions } = this.#options;
    const pages = await Promise.all(
      regions.map((region) => this.#ask(() => listOf(calls.stats(region), query))),
    );
    return merged(pages, query.limit);
  }

  async nodes(figures: readonly string[], most: number): Promise<readonly RegionReport[]> {
    const { calls, platform, regions } = this.#options;
    return await reportsOf(regions, calls, platform, { gateways: most, figures });
  }

  /** Takes back what an earlier life has left of users that have no session here, and repeats what may not have been heard. */
  async sweep(): Promise<void> {
    // Read at once: a gateway that wakes may have thousands.
    for (const [user, row] of this.#options.userRegistrations.all()) {
      this.#user(user).found(row);
    }
    const stale = [...this.#users].filter(([, user]) => user.stale);
    for (let i = 0; i < stale.length; i += SWEPT_TOGETHER) {
      const together = stale.slice(i, i + SWEPT_TOGETHER);
      await Promise.all(together.map(([userId, user]) => this.#settle(userId, user)));
    }
  }

  /** Objects of users have lost all that they knew: they hear it again. Resolves when all have been called. */
  async renew(isLost: (userId: string) => boolean): Promise<void> {
    const lost = [...this.#users].filter(([userId]) => isLost(userId));
    for (const [, user] of lost) user.forgotten();
    await Promise.all(lost.map(([userId, user]) => this.#settle(userId, user)));
  }

  async #settle(userId: string, user: UserRegistration): Promise<void> {
    await user.settle();
    if (user.idle && this.#users.get(userId) === user) this.#users.delete(userId);
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    const { platform } = this.#options;
    return await retrying(call, toDirectory(platform, this.#trouble));
  }

  #user(userId: string): UserRegistration {
    return made(this.#users, userId, () => new UserRegistration(userId, this.#host));
  }
}

/** One page out of those of all regions. A channel that has two rows counts once. */
function merged(pages: readonly ChannelPage[], limit: number): ChannelPage {
  // Up to the first of these all regions have been looked at.
  const ends = pages.flatMap(({ next }) => next ?? []).sort(compareNames);
  const [end] = ends;
  const found = new Map<string, ListedChannel>();
  for (const listed of pages.flatMap(({ channels }) => channels)) {
    if (end !== undefined && compareNames(listed.channel, end) > 0) continue;
    const members = Math.max(listed.members, found.get(listed.channel)?.members ?? 0);
    found.set(listed.channel, { channel: listed.channel, members });
  }
  const all = [...found.values()].sort((one, other) => compareNames(one.channel, other.channel));
  const channels = all.slice(0, limit);
  return {
    channels,
    next: all.length > limit ? channels.at(-1)?.channel : end,
    asOf: Math.min(...pages.map(({ asOf }) => asOf)),
  };
}
