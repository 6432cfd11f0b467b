/**
 * Which sessions of one node are present in one channel, and what Redis knows of it. One call at
 * a time, repeated until it is heard: joins and leaves take effect in their order. What waits is folded by session,
 * and what Redis can never have heard of leaves nothing behind: an outage holds no more than the sessions that are here,
 * and those that were here when it began.
 */
import { type MemberSession, memberKey } from "../../../channels/presence.ts";
import { Rerun } from "../../../engine/background.ts";
import type { Logger, Timers } from "../../../engine/ports/platform.ts";
import { type RedisArgument, RedisFailure } from "../ports.ts";

/** What Redis has to hear of one session: that it has left, that it is here, or the one after the other. */
interface Change {
  readonly left: "clean" | "dropped" | undefined;
  readonly joined: MemberSession | undefined;
}

/** What one call of the presence script does beside the changes. */
export interface PresenceCall {
  /** A node whose sessions are lost; empty for none. */
  readonly lost: string;
  /** The changes name all sessions of this node. */
  readonly complete: boolean;
  /** As the script takes them. */
  readonly changes: readonly RedisArgument[];
}

export interface MemberSyncHost {
  readonly timers: Timers;
  readonly logger: Logger;
  ended(): boolean;
  /**
   * Runs the presence script once. Answers the milliseconds to the end of the next grace, -1 when nobody is leaving.
   *
   * @throws RedisFailure
   */
  tell(call: PresenceCall): Promise<number>;
  /**
   * Calls until it succeeds; undefined once `over` says that nobody cares.
   *
   * @throws what no repetition mends
   */
  until<T>(over: () => boolean, call: () => Promise<T>): Promise<T | undefined>;
  /** Notes that this node answers for the channel, or does not any more. @throws RedisFailure */
  answering(yes: boolean): Promise<void>;
}

/** Sessions in one call at most. */
const MAX_CHANGES = 512;
/** Sessions, at most, that have left while Redis was away: beyond them all that are here are named. */
const MAX_LEFT = 4_096;
/** The longest wait of one timer, in milliseconds: a timer that is asked for more fires at once. */
const MAX_WAIT_MS = 24 * 3_600_000;

export class MemberSync {
  readonly #host: MemberSyncHost;
  /** Sessions that have joined and not left, in that order. */
  readonly #present = new Map<string, MemberSession>();
  /** What Redis has to hear of, in the order of the last changes. */
  readonly #pending = new Map<string, Change>();
  /** Sessions that Redis may know of. */
  readonly #told = new Set<string>();
  /** Nodes whose sessions have to be declared lost. */
  readonly #lost = new Set<string>();
  /** All sessions have to be named again. */
  #complete = false;
  readonly #telling: Rerun;
  #answering = false;
  /** Ends the wait for the end of a grace. */
  #cancel: (() => void) | undefined;

  constructor(host: MemberSyncHost) {
    const { logger } = host;
    this.#host = host;
    this.#telling = new Rerun({
      work: () => this.#tellAll(),
      logger,
      what: "telling who is present",
    });
  }

  /** Whether the node has nobody here and nothing to do. */
  get idle(): boolean {
    const free = this.#telling.idle && this.#cancel === undefined;
    return free && this.#present.size === 0 && !this.#waits;
  }

  /** Whether a session of the node is present. */
  get occupied(): boolean {
    return this.#present.size > 0;
  }

  /** Changes that Redis has not heard of. */
  get waiting(): number {
    return this.#pending.size;
  }

  /** Resolves when Redis has heard of it, and of everything before. Rejects with what no repetition mends. */
  join(session: MemberSession): Promise<void> {
    const { sessionId } = session;
    this.#present.set(sessionId, session);
    this.#change(sessionId, { left: this.#pending.get(sessionId)?.left, joined: session });
    return this.#telling.ask();
  }

  leave(sessionId: string, clean: boolean): void {
    const here = this.#present.delete(sessionId);
    if (!here && this.idle) return;
    if (here && !this.#told.has(sessionId)) {
      // Redis has never heard of it.
      this.#pending.delete(sessionId);
    } else {
      this.#change(sessionId, { left: clean ? "clean" : "dropped", joined: undefined });
      this.#bound();
    }
    this.nudge();
  }

  /** Names all sessions again: Redis may have forgotten some, or know some that are gone. */
  rejoin(): Promise<void> {
    this.#complete = true;
    this.#answering = false;
    return this.#telling.ask();
  }

  /** Sees to it that the sessions of another node leave when their grace is over. */
  takeOver(node: string): Promise<void> {
    this.#lost.add(node);
    return this.#telling.ask();
  }

  /** Tries again what Redis has refused before, if there is anything. */
  nudge(): void {
    if (this.#waits) this.#telling.soon();
  }

  /** The broker has ended. */
  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #change(sessionId: string, change: Change): void {
    this.#pending.delete(sessionId);
    this.#pending.set(sessionId, change);
  }

  /** Where too many have left, naming those that are here says the same. */
  #bound(): void {
    if (this.#pending.size <= MAX_LEFT + this.#present.size) return;
    this.#complete = true;
    for (const sessionId of this.#pending.keys()) {
      if (this.#present.has(sessionId)) continue;
      this.#pending.delete(sessionId);
      this.#told.delete(sessionId);
    }
  }

  async #tellAll(): Promise<void> {
    // A session that has come and gone while Redis was away leaves nothing to report.
    const over = (): boolean => this.#host.ended() || !this.#waits;
    while (!over()) {
      if (!this.#answering) await this.#host.until(over, () => this.#answers());
      const wait = await this.#host.until(over, () => this.#tell());
      if (wait !== undefined) this.#watch(wait);
    }
    if (this.#present.size === 0 && this.#cancel === undefined && this.#answering) {
      this.#answering = false;
      await this.#host.answering(false);
    }
  }

  async #answers(): Promise<void> {
    await this.#host.answering(true);
    this.#answering = true;
  }

  /** Whether there is something that Redis has to hear of. */
  get #waits(): boolean {
    return this.#pending.size > 0 || this.#lost.size > 0 || this.#complete;
  }

  /** One call with what has to be reported now. */
  async #tell(): Promise<number> {
    const [lost] = this.#lost;
    const complete = this.#complete;
    const taken = [...first(this.#pending, MAX_CHANGES)];
    const named = complete ? [...this.#present.values()] : [];
    const joins = [...taken.flatMap(([, { joined }]) => joined ?? []), ...named];
    const fresh = joins.map(({ sessionId }) => sessionId).filter((id) => !this.#told.has(id));
    for (const sessionId of fresh) this.#told.add(sessionId);
    if (lost !== undefined) this.#lost.delete(lost);
    this.#complete = false;
    let wait: number;
    try {
      wait = await this.#host.tell({
        lost: lost ?? "",
        complete,
        // A session that is here now is named last: a change that waits is reported by a later call.
        changes: [
          ...taken.flatMap(([sessionId, change]) => words(sessionId, change)),
          ...named.flatMap((session) => joinWords(session)),
        ],
      });
    } catch (error) {
      if (lost !== undefined) this.#lost.add(lost);
      if (complete) this.#complete = true;
      if (error instanceof RedisFailure && error.kind === "offline") this.#unsent(fresh);
      throw error;
    }
    for (const [sessionId, change] of taken) {
      if (this.#pending.get(sessionId) === change) this.#pending.delete(sessionId);
      if (!this.#present.has(sessionId) && !this.#pending.has(sessionId)) {
        this.#told.delete(sessionId);
      }
    }
    return wait;
  }

  /** Redis has not heard of these sessions: of those that have left meanwhile nothing has to be reported. */
  #unsent(sessionIds: readonly string[]): void {
    for (const sessionId of sessionIds) {
      this.#told.delete(sessionId);
      if (!this.#present.has(sessionId)) this.#pending.delete(sessionId);
    }
  }

  /** Sees to it that dropped sessions are gone when their grace is over. */
  #watch(wait: number): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (wait < 0 || this.#host.ended()) return;
    this.#cancel = this.#host.timers.after(Math.min(wait + 1, MAX_WAIT_MS), () => {
      this.#cancel = undefined;
      // A call without changes ends the graces that are over.
      this.#lost.add("");
      this.nudge();
    });
  }
}

function words(sessionId: string, { left, joined }: Change): RedisArgument[] {
  const leaves = left === undefined ? [] : [left === "clean" ? "c" : "l", sessionId];
  return joined === undefined ? leaves : [...leaves, ...joinWords(joined)];
}

function joinWords(session: MemberSession): RedisArgument[] {
  return ["j", session.sessionId, memberKey(session)];
}

function* first<K, V>(map: ReadonlyMap<K, V>, count: number): Iterable<[K, V]> {
  let left = count;
  for (const entry of map) {
    if (left-- <= 0) return;
    yield entry;
  }
}
