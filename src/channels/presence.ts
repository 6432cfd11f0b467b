/**
 * The members of one channel. A member is one user on one client, with any number of sessions on
 * any nodes; it joins with its first session and leaves when the last has gone. A session that drops
 * may come back within the grace period, without a leave and a join. Pure logic over a store; every change
 * happens in one synchronous step.
 *
 * | session | joins | leaves cleanly | drops | its grace ends |
 * | --- | --- | --- | --- | --- |
 * | unknown | here, and its member joins | | | |
 * | here | | unknown, and its member leaves | leaving | |
 * | leaving | here | unknown, and its member leaves | | unknown, and its member leaves |
 *
 * A member joins with its first session and leaves with its last. Where another session of the member is here, one that drops
 * is unknown at once; where another one joins, those that are leaving are.
 */
import type { LogClock } from "./log-ports.ts";
import { SmallMap } from "./small-map.ts";

/** A session that is present. */
export interface MemberSession {
  readonly sessionId: string;
  /** Authenticated; empty for all others. */
  readonly userId: string;
  /** The client's own name for itself. */
  readonly clientId: string;
}

/** A member as others see it. */
export interface Member {
  readonly userId: string;
  readonly clientId: string;
  /** Only where both names are empty, so that the session itself is the member. */
  readonly sessionId: string;
  /** When it joined, Unix milliseconds. */
  readonly time: number;
}

/** A join or a leave. */
export interface PresenceChange {
  readonly member: Member;
  readonly joined: boolean;
  /** Rises with every change of the channel, with holes. */
  readonly generation: number;
}

/** A session as the store keeps it. */
export interface SessionRow extends MemberSession {
  /** The node that has it. */
  readonly node: string;
  /** When its member joined, Unix milliseconds, and with which generation. */
  readonly time: number;
  readonly generation: number;
  /** When it is gone unless its member comes back, Unix milliseconds; undefined while it is there. */
  readonly leaving: number | undefined;
}

export interface PresenceStore {
  sessions(): Iterable<SessionRow>;
  /** Adds a session or replaces what is known of it. */
  save(row: SessionRow): void;
  drop(sessionId: string): void;
}

export interface Snapshot {
  /** Joined first, first; at most as many as were asked for. */
  readonly members: readonly Member[];
  readonly total: number;
  /** Changes at or below it are part of the snapshot. */
  readonly generation: number;
}

/** Presence that outlives nothing: for channels in memory. */
export const FORGETFUL_STORE: PresenceStore = {
  sessions: () => [],
  save: () => {},
  drop: () => {},
};

export class ChannelPresence {
  readonly #store: PresenceStore;
  readonly #clock: LogClock;
  readonly #graceMs: number;
  readonly #members = new SmallMap<string, Presence>();
  readonly #sessions = new SmallMap<string, Session>();
  /** In the order in which their grace ends. Undefined while no session is leaving, as nearly always. */
  #leaving: Set<Session> | undefined;
  #generation = 0;

  constructor(store: PresenceStore, clock: LogClock, graceMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#graceMs = graceMs;
    const rows = [...store.sessions()];
    for (const row of rows.sort((left, right) => left.generation - right.generation)) {
      const member = this.#members.get(memberKey(row)) ?? this.#create(row, row);
      this.#add({ member, sessionId: row.sessionId, node: row.node, leaving: row.leaving });
      this.#generation = Math.max(this.#generation, row.generation);
    }
    const leaving = [...this.#sessions.values()].filter((session) => session.leaving !== undefined);
    leaving.sort((left, right) => (left.leaving ?? 0) - (right.leaving ?? 0));
    if (leaving.length > 0) this.#leaving = new Set(leaving);
  }

  /** Number of members. */
  get size(): number {
    return this.#members.size;
  }

  /** Of the last change. */
  get generation(): number {
    return this.#generation;
  }

  /** When the next grace ends, Unix milliseconds; undefined when no session is leaving. */
  get nextExpiry(): number | undefined {
    for (const { leaving } of this.#leaving ?? []) return leaving;
    return undefined;
  }

  /** A session of a node is here. Returns the join where it is its member's first. */
  join(node: string, { sessionId, ...names }: MemberSession): PresenceChange | undefined {
    const known = this.#sessions.get(sessionId);
    if (known !== undefined) {
      if (known.node === node && known.leaving === undefined) return undefined;
      known.node = node;
      this.#stay(known);
      this.#save(known);
      return undefined;
    }
    let member = this.#members.get(memberKey({ sessionId, ...names }));
    const joined = member === undefined;
    if (member === undefined) {
      const time = this.#clock.now();
      member = this.#create({ sessionId, ...names }, { time, generation: this.#next(time) });
    }
    // Its member is back: those that dropped need not be waited for.
    for (const session of this.#leaving ?? []) {
      if (session.member === member) this.#forget(session);
    }
    const session: Session = { member, sessionId, node, leaving: undefined };
    this.#add(session);
    this.#save(session);
    return joined ? { member: member.member, joined, generation: member.generation } : undefined;
  }

  /**
   * A session has gone. Returns the leave where it was its member's last.
   *
   * @param clean it has said so; otherwise the leave waits for the grace period
   */
  leave(sessionId: string, clean: boolean): PresenceChange | undefined {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return undefined;
    const { member } = session;
    const stays = member.present > (session.leaving === undefined ? 1 : 0);
    if (clean || stays || this.#graceMs === 0) return this.#remove(session);
    if (session.leaving === undefined) {
      session.leaving = this.#clock.now() + this.#graceMs;
      member.present -= 1;
      this.#leaving ??= new Set();
      this.#leaving.add(session);
      this.#save(session);
    }
    return undefined;
  }

  /** A node has lost its sessions, except those it still names. They may come back elsewhere. */
  lost(node: string, except: ReadonlySet<string> = new Set()): PresenceChange[] {
    const gone = [...this.#sessions.values()].filter(
      (session) => session.node === node && !except.has(session.sessionId),
    );
    return gone
      .map(({ sessionId }) => this.leave(sessionId, false))
      .filter((change) => change !== undefined);
  }

  /** Ends the grace of those whose time is over. */
  expire(): PresenceChange[] {
    const now = this.#clock.now();
    const over = [...(this.#leaving ?? [])].filter(({ leaving }) => (leaving ?? Infinity) <= now);
    return over.map((session) => this.#remove(session)).filter((change) => change !== undefined);
  }

  snapshot(limit: number): Snapshot {
    const members: Member[] = [];
    for (const { member } of this.#members.values()) {
      if (members.length >= limit) break;
      members.push(member);
    }
    return { members, total: this.#members.size, generation: this.#generation };
  }

  /**
   * The next generation: the clock where it has moved on. A channel that forgot its last one, because
   * all members had left, still goes on above it.
   */
  #next(now: number): number {
    this.#generation = Math.max(this.#generation + 1, now);
    return this.#generation;
  }

  #create(
    session: MemberSession,
    { time, generation }: { readonly time: number; readonly generation: number },
  ): Presence {
    const key = memberKey(session);
    const { userId, clientId } = session;
    const named = userId !== "" || clientId !== "";
    const member = { userId, clientId, sessionId: named ? "" : session.sessionId, time };
    const presence: Presence = { key, member, generation, sessions: 0, present: 0 };
    this.#members.set(key, presence);
    return presence;
  }

  #add(session: Session): void {
    this.#sessions.set(session.sessionId, session);
    session.member.sessions += 1;
    if (session.leaving === undefined) session.member.present += 1;
  }

  #save({ member, sessionId, node, leaving }: Session): void {
    const { userId, clientId, time } = member.member;
    const { generation } = member;
    this.#store.save({ sessionId, userId, clientId, node, time, generation, leaving });
  }

  /** Ends a grace: the session is here. */
  #stay(session: Session): void {
    if (session.leaving === undefined) return;
    session.leaving = undefined;
    session.member.present += 1;
    this.#settled(session);
  }

  #settled(session: Session): void {
    this.#leaving?.delete(session);
    if (this.#leaving?.size === 0) this.#leaving = undefined;
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.sessionId);
    session.member.sessions -= 1;
    if (session.leaving === undefined) session.member.present -= 1;
    else this.#settled(session);
    this.#store.drop(session.sessionId);
  }

  #remove(session: Session): PresenceChange | undefined {
    const { member } = session;
    this.#forget(session);
    if (member.sessions > 0) return undefined;
    this.#members.delete(member.key);
    return { member: member.member, joined: false, generation: this.#next(this.#clock.now()) };
  }
}

interface Presence {
  readonly key: string;
  readonly member: Member;
  /** Of its join. */
  readonly generation: number;
  /** How many it has, and how many of them are not leaving. */
  sessions: number;
  present: number;
}

interface Session {
  readonly member: Presence;
  readonly sessionId: string;
  node: string;
  /** When it is gone unless its member comes back, Unix milliseconds. */
  leaving: number | undefined;
}

/** Names a member: a list as JSON is unambiguous whatever the names hold. */
export function memberKey({ userId, clientId, sessionId }: MemberSession): string {
  return JSON.stringify(userId === "" && clientId === "" ? [sessionId] : [userId, clientId]);
}
