/**
 * How far a gateway is in one channel: what it has handed over, what of a delivery is new, and what has
 * to be read back first. A delivery that goes on where the last one ended is handed over in the step
 * that brought it; any other waits its turn in a line.
 */
import type { BrokerHandler, GapReason, Position, PresenceSnapshot } from "../engine/ports.ts";
import type { Entry, ReadResponse } from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_PRESENCE_MEMBERS } from "../protocol/limits.ts";
import type { Run } from "./channel-calls.ts";

/** Ends of logs that are remembered, so that what comes late from them is told from a new log. */
const MAX_LEFT_EPOCHS = 8;
/** Deliveries in a row that may fail because a hole cannot be read; then the hole becomes a gap. */
const MAX_FAILED_READS = 3;

/** What the cursor needs from the broker around it. */
export interface CursorHost {
  readonly channel: string;
  readonly handler: () => BrokerHandler | undefined;
  wanted(): boolean;
  /** The newest registration, by this life of the gateway or an earlier one. */
  registration(): string | undefined;
  /** @throws MessagingError UNAVAILABLE */
  read(after: number, until: number): Promise<ReadResponse>;
  /** @throws MessagingError UNAVAILABLE */
  head(): Promise<Position>;
  /** @throws MessagingError UNAVAILABLE */
  presence(limit: number): Promise<PresenceSnapshot>;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class Cursor {
  readonly #host: CursorHost;
  /** The last entry handed over; undefined while unknown, as after a sleep that forgot it. */
  #last: Position | undefined;
  /** Of the last presence change handed over. */
  #generation = 0;
  /** Epochs of logs that have ended. */
  #left: string[] = [];
  /** Deliveries wait in line while something is being read. Never rejects. */
  #line: Promise<void> | undefined;
  /** Counts the times that everything was forgotten. */
  #round = 0;
  #failedReads = 0;

  constructor(host: CursorHost) {
    this.#host = host;
  }

  get last(): Position | undefined {
    return this.#last;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Takes back what an earlier life knew; of several memories the one that reaches furthest. */
  recall(position: Position, generation: number): void {
    if (this.#last !== undefined && this.#last.epoch !== position.epoch) return;
    const offset = Math.max(this.#last?.offset ?? 0, position.offset);
    this.#last = { epoch: position.epoch, offset };
    this.#generation = Math.max(this.#generation, generation);
  }

  /** Nobody here wants the channel any more: what comes later is another story. */
  reset(): void {
    this.#last = undefined;
    this.#generation = 0;
    this.#left = [];
    this.#round += 1;
  }

  /**
   * The channel has answered a registration.
   *
   * @param first nobody here listened before
   * @returns what subscribers take as the head
   */
  registered(head: Position, first: boolean): Position {
    if (this.#last === undefined) {
      // Where others here listened before, their deliveries may still be on the way: a channel that was
      // forgotten stays so until the next delivery says where they are.
      if (first) this.#last = head;
      return head;
    }
    if (this.#last.epoch === head.epoch) return head;
    // A delivery of the next log may overtake the answer of the one before.
    if (this.#left.includes(head.epoch)) return this.#last;
    // Its first messages may be on the way to those who listened before: for them it begins at its start.
    this.#move({ epoch: head.epoch, offset: 0 });
    return head;
  }

  /**
   * Takes a delivery. Returns undefined when it has been handed over, else a promise that settles when it
   * has been.
   */
  take(run: Run): undefined | Promise<void> {
    if (this.#line === undefined && !run.presenceLost && this.#inStep(run)) {
      this.#handOver(run);
      return undefined;
    }
    const turn = (this.#line ?? Promise.resolve()).then(() => this.#catchUp(run));
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (this.#line === settled) this.#line = undefined;
      });
    this.#line = settled;
    return turn;
  }

  /** Whether a run can be handed over as it is. Steps into the next log where it clearly is one. */
  #inStep(run: Run): boolean {
    const { epoch, prev, registration } = run;
    if (this.#last === undefined) this.#last = { epoch, offset: prev };
    else if (this.#last.epoch !== epoch) {
      const isNew = !this.#left.includes(epoch) && registration === this.#host.registration();
      if (!isNew) return false;
      this.#move({ epoch, offset: prev });
    }
    return this.#last.offset >= before(run);
  }

  async #catchUp(run: Run): Promise<void> {
    const round = this.#round;
    const over = (): boolean => round !== this.#round || !this.#host.wanted();
    if (over()) return;
    if (!this.#inStep(run)) {
      if (this.#last?.epoch !== run.epoch) {
        // A straggler of a log that has ended, or the log has come back: the channel knows.
        const head = await this.#host.head();
        if (over() || head.epoch !== run.epoch) return;
        this.#move({ epoch: run.epoch, offset: run.prev });
      }
      if (!(await this.#fill(run, over)) || over()) return;
    }
    this.#handOver(run);
    if (!run.presenceLost) return;
    const snapshot = await this.#host.presence(MAX_PRESENCE_MEMBERS);
    if (over()) return;
    if (this.#last?.epoch !== snapshot.epoch) this.#move({ epoch: snapshot.epoch, offset: 0 });
    this.#generation = snapshot.generation;
    this.#host.handler()?.presenceLost(this.#host.channel, snapshot.epoch, snapshot);
  }

  /**
   * Reads what lies between the last entry and the run, and hands it over. What cannot be read is told.
   *
   * @returns whether the run may be handed over now
   */
  async #fill(run: Run, over: () => boolean): Promise<boolean> {
    const { epoch } = run;
    const until = before(run);
    for (;;) {
      const after = this.#last?.offset ?? 0;
      if (after >= until) return true;
      // One more than is missing: whether it is there tells a trimmed log from none at all.
      const answer = await this.#read(after, until + 1);
      if (over()) return false;
      if (answer === undefined) {
        this.#skip("unavailable", { epoch, offset: until });
        return true;
      }
      if (answer.epoch !== epoch) {
        this.#move({ epoch: answer.epoch, offset: 0 });
        return false;
      }
      const entries = answer.entries.filter(({ offset }) => Number(offset) <= until);
      const first = entries[0];
      if (first === undefined) {
        const reason = answer.entries.length > 0 ? "head_trimmed" : "unavailable";
        this.#skip(reason, { epoch, offset: until });
        return true;
      }
      const missing = Number(first.offset) - 1;
      if (missing > after) this.#skip("head_trimmed", { epoch, offset: missing });
      this.#handEntries(epoch, entries);
    }
  }

  /** Undefined when the log cannot be read for good. Until then the delivery stays owed. */
  async #read(after: number, until: number): Promise<ReadResponse | undefined> {
    try {
      const answer = await this.#host.read(after, until);
      this.#failedReads = 0;
      return answer;
    } catch (error) {
      this.#failedReads += 1;
      if (this.#failedReads < MAX_FAILED_READS) throw error;
      this.#failedReads = 0;
      return undefined;
    }
  }

  /** Hands over what is new of a run that nothing is missing before. */
  #handOver({ epoch, entries, presence }: Run): void {
    this.#handEntries(epoch, entries);
    const changes = presence.filter(({ generation }) => generation > this.#generation);
    const newest = changes.at(-1);
    if (newest === undefined) return;
    this.#generation = newest.generation;
    this.#host.handler()?.presence(this.#host.channel, epoch, changes);
  }

  #handEntries(epoch: string, entries: readonly Entry[]): void {
    const known = this.#last?.offset ?? 0;
    const fresh = entries.filter(({ offset }) => Number(offset) > known);
    const newest = fresh.at(-1);
    if (newest === undefined) return;
    this.#last = { epoch, offset: Number(newest.offset) };
    this.#host.handler()?.publications(this.#host.channel, epoch, fresh);
  }

  /** Steps over what cannot be had. */
  #skip(reason: GapReason, until: Position): void {
    const after = this.#last;
    this.#host.warn("hole in a channel", { reason, from: after?.offset, until: until.offset });
    this.#last = until;
    this.#host.handler()?.gap(this.#host.channel, { reason, after, until });
  }

  /** Steps into another log. */
  #move(until: Position): void {
    const after = this.#last;
    if (after !== undefined) this.#left = [...this.#left, after.epoch].slice(-MAX_LEFT_EPOCHS);
    this.#left = this.#left.filter((epoch) => epoch !== until.epoch);
    this.#last = until;
    this.#generation = 0;
    this.#host.handler()?.gap(this.#host.channel, { reason: "epoch_changed", after, until });
  }
}

/** Offset up to which a gateway must have everything before it may take a run. */
function before({ entries, prev }: Run): number {
  const first = entries[0];
  return first === undefined ? prev : Math.max(prev, Number(first.offset) - 1);
}
