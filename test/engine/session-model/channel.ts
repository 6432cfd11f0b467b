/** One channel of the scripted cluster: its log with all its lives, who is present, and what is on its way. */
import { create } from "@bufbuild/protobuf";
import type { MemberSession, PresenceChange } from "../../../src/channels/presence.ts";
import type {
  HistoryFilter,
  HistoryPage,
  LogGap,
  Position,
  PresenceSnapshot,
} from "../../../src/engine/ports/broker.ts";
import {
  type Entry,
  type EntryBody,
  EntrySchema,
} from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { check, lifeOf } from "./facts.ts";

export interface Logged {
  readonly entry: Entry;
  readonly event: string;
  readonly onlyProtobuf: boolean;
}

/** One life of a log. */
export class Life {
  readonly epoch: string;
  readonly log: Logged[] = [];
  /** Positions by their keys. */
  readonly keys = new Map<string, Position>();
  /** Entries up to here are gone. */
  trimmed = 0;
  /** What has become of them, by every name that this had. */
  readonly reasons = new Set<string>();
  reason: "head_trimmed" | "expired" = "head_trimmed";
  /** The last that the node was handed. */
  handed = 0;

  constructor(number: number) {
    this.epoch = `epoch${number}`;
  }

  get head(): Position {
    return { epoch: this.epoch, offset: this.log.length };
  }

  trim(until: number, reason: Life["reason"]): void {
    this.trimmed = Math.max(this.trimmed, until);
    this.reason = reason;
    this.reasons.add(reason);
  }

  /** A page as the contract wants it, with no more entries than `most`. */
  page({ since, limit, reverse = false, maxBytes = Infinity }: HistoryFilter, most: number) {
    const known = since === undefined || since.epoch === this.epoch;
    const kept = this.log.slice(this.trimmed).map(({ entry }) => entry);
    const found = kept.filter(({ offset }) => {
      if (since === undefined) return true;
      return known && (reverse ? Number(offset) < since.offset : Number(offset) > since.offset);
    });
    if (reverse) found.reverse();
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of found.slice(0, limit < 0 ? most : Math.min(limit, most))) {
      bytes += entry.body?.event.length ?? 0;
      if (entries.length > 0 && bytes > maxBytes) break;
      entries.push(entry);
    }
    const page: HistoryPage = {
      position: this.head,
      first: this.trimmed + 1,
      reason: this.trimmed > 0 ? this.reason : undefined,
      entries,
      more: known && entries.length < found.length,
    };
    return page;
  }
}

/** What the node was told of presence: a change, or all anew. */
export type Told = PresenceChange | { readonly lost: PresenceSnapshot };

export class Channel {
  readonly name: string;
  readonly lives = [new Life(1)];
  /** Whether the channel knows of the node. */
  registered = false;
  /** Unsubscribing goes past what is on its way, and makes it void. */
  registration = 0;
  /** Whether this life of the node was handed anything or told where it stands. */
  known = false;
  handed: Position = { epoch: "epoch1", offset: 0 };
  /** Entries up to here may still arrive after unsubscribing. */
  straggling = 0;
  /** Entries of the life before, up to here, may still arrive before the node knows of this one. */
  stale = 0;
  /** Calls on their way to the channel, which keep their order. */
  readonly calls: (() => void)[] = [];
  /** Answers on their way back, which do not. */
  readonly answers: (() => void)[] = [];
  /** Of the last presence change, and of the last that the node was told. */
  generation = 0;
  toldGeneration = 0;
  readonly members = new Map<string, MemberSession>();
  /** Changes on their way to the node. */
  changes: PresenceChange[] = [];
  readonly told: Told[] = [];
  readonly gaps: LogGap[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get life(): Life {
    return this.lives.at(-1) as Life;
  }

  get epoch(): string {
    return this.life.epoch;
  }

  get head(): Position {
    return this.life.head;
  }

  /** The last place of this epoch that the node was handed. */
  get reached(): number {
    return this.handed.epoch === this.epoch ? this.handed.offset : 0;
  }

  /** A life by its epoch, if there ever was one. */
  named(epoch: string): Life | undefined {
    return this.lives[lifeOf(epoch) - 1];
  }

  logged({ epoch, offset }: Position): Logged | undefined {
    return this.named(epoch)?.log[offset - 1];
  }

  /** Whether the node was told that a place cannot be had. */
  skips({ epoch, offset }: Position): boolean {
    return this.gaps.some(({ after, until }) => {
      const first = after?.epoch === epoch ? after.offset : 0;
      return until.epoch === epoch && offset > first && offset <= until.offset;
    });
  }

  append(key: string, body: EntryBody, event: string, time: number, onlyProtobuf = false) {
    const { life } = this;
    const known = life.keys.get(key);
    if (known !== undefined) return { position: known, duplicate: true };
    const offset = BigInt(life.log.length + 1);
    const entry = create(EntrySchema, { offset, time: BigInt(time), body });
    life.log.push({ entry, event, onlyProtobuf });
    life.keys.set(key, life.head);
    return { position: life.head, duplicate: false };
  }

  /** The log is lost, and with it what it had handed out and not delivered, or most of it. */
  lose(lateArrivals: boolean): void {
    const delivering = this.registered && this.handed.epoch === this.epoch;
    this.stale = delivering && lateArrivals ? this.life.log.length : 0;
    this.straggling = 0;
    this.lives.push(new Life(this.lives.length + 1));
  }

  hands(position: Position): void {
    const life = this.named(position.epoch);
    check(life !== undefined, `the test hands ${position.epoch}`);
    life.handed = Math.max(life.handed, position.offset);
    this.handed = position;
  }

  /** A session is there or not any more, as far as the channel has heard. */
  present(session: MemberSession, joined: boolean): void {
    const { sessionId, userId, clientId } = session;
    const key = memberKey(session);
    const known = this.members.get(sessionId);
    if ((known !== undefined) === joined) return;
    if (joined) this.members.set(sessionId, session);
    else this.members.delete(sessionId);
    const others = [...this.members.values()].filter((other) => memberKey(other) === key);
    if (others.length !== (joined ? 1 : 0)) return;
    this.generation += 1;
    const named = userId !== "" || clientId !== "";
    const member = { userId, clientId, sessionId: named ? "" : sessionId, time: 0 };
    if (!this.registered) return;
    this.changes.push({ member, joined, generation: this.generation });
  }

  snapshot(limit: number): PresenceSnapshot {
    const members = new Map(
      [...this.members.values()].map((session) => {
        const { userId, clientId, sessionId } = session;
        const named = userId !== "" || clientId !== "";
        const member = { userId, clientId, sessionId: named ? "" : sessionId, time: 0 };
        return [memberKey(session), member] as const;
      }),
    );
    const { epoch, generation } = this;
    const listed = [...members.values()].slice(0, limit);
    return { epoch, generation, total: members.size, members: listed };
  }
}

export function memberKey({ sessionId, userId, clientId }: MemberSession): string {
  return userId === "" && clientId === "" ? sessionId : `${userId} ${clientId}`;
}
