/**
 * Which sessions of one node are present in one channel, and what Redis has been told of it. One call at
 * a time, repeated until it is heard: joins and leaves take effect in their order.
 */
import type { MemberSession, Timers } from "../engine/ports.ts";
import type { RedisArgument } from "./redis-ports.ts";
import { memberKey } from "./redis-reply.ts";

/** One change that Redis has to hear of. */
type Change =
  | { readonly kind: "join"; readonly session: MemberSession }
  | { readonly kind: "leave"; readonly sessionId: string; readonly clean: boolean };

/** What one call of the presence script does beside the changes. */
export interface RosterCall {
  /** A node whose sessions are lost; empty for none. */
  readonly lost: string;
  /** The changes name all sessions of this node. */
  readonly complete: boolean;
  /** As the script takes them. */
  readonly changes: readonly RedisArgument[];
}

export interface RosterHost {
  readonly timers: Timers;
  /**
   * Runs the presence script; tries until it succeeds or the broker has ended, when it answers
   * undefined. Answers the milliseconds to the end of the next grace, -1 when nobody is leaving.
   */
  tell(call: () => RosterCall): Promise<number | undefined>;
  /** Notes that this node answers for the channel, or does not any more. */
  answering(yes: boolean): Promise<void>;
}

/** Changes in one call at most. */
const MAX_CHANGES = 512;

export class RedisRoster {
  readonly #host: RosterHost;
  /** Sessions that have joined and not left, in that order. */
  readonly #present = new Map<string, MemberSession>();
  #changes: Change[] = [];
  /** Nodes whose sessions have to be declared lost. */
  readonly #lost = new Set<string>();
  /** All sessions have to be named anew. */
  #complete = false;
  #running: Promise<void> | undefined;
  #answering = false;
  /** Ends the wait for the end of a grace. */
  #cancel: (() => void) | undefined;

  constructor(host: RosterHost) {
    this.#host = host;
  }

  /** Whether the node has nobody here and nothing to do. */
  get idle(): boolean {
    return this.#present.size === 0 && this.#running === undefined && this.#cancel === undefined;
  }

  /** Whether a session of the node is present. */
  get occupied(): boolean {
    return this.#present.size > 0;
  }

  /** Resolves when Redis has heard of it, and of everything before. */
  join(session: MemberSession): Promise<void> {
    this.#present.set(session.sessionId, session);
    this.#changes.push({ kind: "join", session });
    return this.#settle();
  }

  leave(sessionId: string, clean: boolean): void {
    if (!this.#present.delete(sessionId) && this.idle) return;
    this.#changes.push({ kind: "leave", sessionId, clean });
    void this.#settle();
  }

  /** Names all sessions anew: Redis may have forgotten some, or know some that are gone. */
  rejoin(): Promise<void> {
    this.#complete = true;
    this.#answering = false;
    return this.#settle();
  }

  /** Sees to it that the sessions of another node leave when their grace is over. */
  takeOver(node: string): Promise<void> {
    this.#lost.add(node);
    return this.#settle();
  }

  /** The broker has ended. */
  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #settle(): Promise<void> {
    // What one step brings is one call.
    this.#running ??= Promise.resolve().then(() => this.#run());
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      do {
        while (this.#waits) {
          if (!this.#answering) await this.#host.answering(true);
          this.#answering = true;
          const wait = await this.#tell();
          if (wait === undefined) return;
          this.#watch(wait);
        }
        if (this.#present.size === 0 && this.#cancel === undefined && this.#answering) {
          this.#answering = false;
          await this.#host.answering(false);
        }
        // Meanwhile somebody may have come.
      } while (this.#waits);
    } finally {
      this.#running = undefined;
    }
  }

  /** Whether there is something that Redis has to hear of. */
  get #waits(): boolean {
    return this.#changes.length > 0 || this.#lost.size > 0 || this.#complete;
  }

  /** One call. Answers what the host does. */
  async #tell(): Promise<number | undefined> {
    const [lost = ""] = this.#lost;
    this.#lost.delete(lost);
    const taken = this.#changes.splice(0, MAX_CHANGES);
    const complete = this.#complete;
    this.#complete = false;
    return await this.#host.tell(() => ({
      lost,
      complete,
      // Who is here now is named last: a change that waits is told by a later call.
      changes: [...taken, ...(complete ? this.#all() : [])].flatMap(words),
    }));
  }

  #all(): Change[] {
    return [...this.#present.values()].map((session) => ({ kind: "join", session }));
  }

  /** Sees to it that those who dropped are gone when their grace is over. */
  #watch(wait: number): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (wait < 0) return;
    this.#cancel = this.#host.timers.after(wait + 1, () => {
      this.#cancel = undefined;
      // A call without changes ends the graces that are over.
      this.#lost.add("");
      void this.#settle();
    });
  }
}

function words(change: Change): RedisArgument[] {
  if (change.kind === "leave") return [change.clean ? "c" : "l", change.sessionId];
  return ["j", change.session.sessionId, memberKey(change.session)];
}
