/**
 * How far a gateway is in one channel: what it has handed over, what of a delivery is new, and what has
 * to be read back first. A delivery that goes on where the last one ended is handed over in the step
 * that brought it; any other waits its turn in a line.
 *
 * | position | since | a delivery |
 * | --- | --- | --- |
 * | unknown | the gateway has slept, or no session here wanted the channel | what may not have been delivered before it is looked for in the log |
 * | told | a session has received a head meanwhile | the same, and begins at that head at the latest |
 * | known | the first registration, a record, or a delivery | see below |
 *
 * Where the position is known, a delivery that goes on there is handed over. Of one that leaves a hole the hole is read first,
 * and becomes a gap where it cannot be. One of another log comes after a gap `epoch_changed`. One of a log that has ended is
 * dropped.
 */
import type {
  BrokerHandler,
  GapReason,
  Position,
  PresenceSnapshot,
} from "../../engine/ports/broker.ts";
import type {
  Entry,
  ReadResponse,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_ENTRIES, MAX_PRESENCE_MEMBERS } from "../../protocol/limits.ts";
import type { Run } from "../calls/gateway-calls.ts";
import { HEARD_LATELY_MS } from "./heard-channels.ts";

/** Ends of logs that are remembered, so that what comes late from them is distinguished from a new log. */
const MAX_LEFT_LOGS = 8;
/** Deliveries in a row that may fail because a hole cannot be read; then the hole becomes a gap. */
const MAX_FAILED_READS = 3;
/**
 * What is as young as this was not delivered where the channel is unknown, in milliseconds: it would be
 * remembered. Clocks differ, so that it is a little less than that.
 */
const DELIVERED_LATELY_MS = HEARD_LATELY_MS - 10_000;

/** What the cursor needs from the broker around it. */
export interface CursorHost {
  readonly channel: string;
  readonly handler: () => BrokerHandler | undefined;
  hasAnySubscriber(): boolean;
  /** Since when a session here hears it through a pattern, Unix milliseconds; Infinity where none has begun yet. */
  listensSince(): number;
  /** Unix milliseconds. */
  now(): number;
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
  /** A head that a session here received while `#last` is unknown: all entries after it have to be delivered. */
  #told: Position | undefined;
  /** Of the last presence change handed over. */
  #generation = 0;
  /** Where logs were left that have ended. One of them may turn out to be the one that holds. */
  #left: Position[] = [];
  /** Counts the steps into another log: a decision that was taken before one does not hold after it. */
  #moves = 0;
  /** Deliveries wait in line while something is being read. Never rejects. */
  #line: Promise<void> | undefined;
  /** Counts the times that everything was forgotten. */
  #round = 0;
  #failedReads = 0;

  constructor(host: CursorHost) {
    this.#host = host;
  }

  get position(): Position | undefined {
    return this.#last;
  }

  /** Of the log that sessions here were led into. */
  get epoch(): string | undefined {
    return (this.#last ?? this.#told)?.epoch;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Takes back what an earlier life knew; of several memories the one that reaches furthest. */
  restore(position: Position, generation: number): void {
    if (this.#last !== undefined && this.#last.epoch !== position.epoch) return;
    const offset = Math.max(this.#last?.offset ?? 0, position.offset);
    this.#begin({ epoch: position.epoch, offset });
    this.#generation = Math.max(this.#generation, generation);
  }

  /** No session here wants the channel any more: what comes later is another story. */
  reset(): void {
    this.#last = undefined;
    this.#told = undefined;
    this.#generation = 0;
    this.#left = [];
    this.#round += 1;
  }

  /**
   * The channel has answered a registration.
   *
   * @param first no session here listened before
   * @returns what subscribers take as the head
   */
  registered(head: Position, first: boolean): Position {
    if (this.#last === undefined) {
      // Where others here listened before, or have begun meanwhile, their deliveries may still be on the way: a
      // channel that is not known stays so until the next delivery says where they are.
      const isAlone = this.#told === undefined && !Number.isFinite(this.#host.listensSince());
      if (first && isAlone) this.#begin(head);
      else this.tell(head);
      return head;
    }
    if (this.#last.epoch === head.epoch) return head;
    // A delivery of the next log may overtake the answer of the one before.
    if (this.#hasLeft(head.epoch)) return this.#last;
    this.#move(head.epoch);
    return head;
  }

  /**
   * A session here receives a head: all entries after it have to be delivered.
   *
   * @returns whether the position of this gateway was unknown, so that the head matters
   */
  tell(head: Position): boolean {
    if (this.#last !== undefined) return false;
    const told = this.#told;
    if (told === undefined) this.#told = head;
    else if (told.epoch !== head.epoch) {
      // For the session that has received the head before, its log ends here.
      this.#begin(told);
      this.#move(head.epoch);
    }
    return true;
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
    // A call and an answer may overtake each other: what the line waits for may have come now, and a read may find that it
    // is not kept any more.
    if (this.#goesOn(run)) this.#handEntries(run.epoch, run.entries);
    const turn = (this.#line ?? Promise.resolve()).then(() => this.#catchUp(run));
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (this.#line === settled) this.#line = undefined;
      });
    this.#line = settled;
    return turn;
  }

  /** Whether nothing is missing before a run, in the log in which the gateway is. */
  #goesOn(run: Run): boolean {
    return this.#last?.epoch === run.epoch && this.#last.offset >= before(run);
  }

  /** Whether a run can be handed over as it is. Steps into the next log where it clearly is one. */
  #inStep(run: Run): boolean {
    const { epoch, prev, registration } = run;
    if (this.#last === undefined) {
      const told = this.#told;
      const isOther = told !== undefined && told.epoch !== epoch;
      if (!isOther && this.#mayLack(run)) return false;
      // A head of another log is the end of that log for this gateway.
      const known = told === undefined || (!isOther && told.offset > prev);
      this.#last = this.#begin(known ? { epoch, offset: prev } : told);
    }
    if (this.#last.epoch !== epoch) {
      const isNew = !this.#hasLeft(epoch) && registration === this.#host.registration();
      if (!isNew) return false;
      this.#move(epoch);
    }
    return this.#last.offset >= before(run);
  }

  #begin(position: Position): Position {
    this.#last = position;
    this.#told = undefined;
    return position;
  }

  /** Whether an earlier life of the channel may have taken something for those here, and not delivered it. */
  #mayLack({ undeliveredTime }: Run): boolean {
    return undeliveredTime > 0 && undeliveredTime >= this.#undeliveredSince();
  }

  /** Entries since then are new to a gateway that does not know the channel, Unix milliseconds. */
  #undeliveredSince(): number {
    return Math.max(this.#host.listensSince(), this.#host.now() - DELIVERED_LATELY_MS);
  }

  /** Finds the first entry that may be undelivered, where the gateway does not know the channel. */
  async #lookBack({ epoch, prev }: Run, over: () => boolean): Promise<void> {
    const since = this.#undeliveredSince();
    let offset = Math.max(0, prev - MAX_BATCH_ENTRIES);
    while (offset < prev) {
      const answer = await this.#read(offset, prev);
      if (over() || this.#last !== undefined) return;
      const entries = answer?.epoch === epoch ? answer.entries : [];
      const young = entries.findIndex(({ time }) => Number(time) >= since);
      // Entries before the first of them may be trimmed; `#fill` reports that as a gap.
      if (young >= 0) offset = Number(entries[young - 1]?.offset ?? offset);
      if (young >= 0) break;
      offset = Number(entries.at(-1)?.offset ?? prev);
    }
    // A session may have received a head meanwhile.
    const told = this.#told ?? { epoch, offset };
    if (told.epoch === epoch) this.#begin({ epoch, offset: Math.min(offset, told.offset) });
  }

  #hasLeft(epoch: string): boolean {
    return this.#left.some((end) => end.epoch === epoch);
  }

  async #catchUp(run: Run): Promise<void> {
    const round = this.#round;
    const over = (): boolean => round !== this.#round || !this.#host.hasAnySubscriber();
    // The answer to a registration may step into another log meanwhile: after every wait it is looked
    // again where the gateway is.
    while (!over() && !this.#inStep(run)) {
      const moves = this.#moves;
      const moved = (): boolean => over() || moves !== this.#moves;
      if (this.#last === undefined) {
        await this.#lookBack(run, moved);
        continue;
      }
      if (this.#last.epoch === run.epoch) {
        if (!(await this.#fill(run, moved))) return;
        continue;
      }
      // A straggler of a log that has ended, or the log has come back: the channel knows.
      const head = await this.#host.head();
      if (moved()) continue;
      if (head.epoch !== run.epoch) return;
      this.#move(run.epoch);
    }
    if (over()) return;
    this.#handOver(run);
    if (run.presenceLost) await this.#askPresence(over);
  }

  /** Changes were lost: what holds now takes their place. */
  async #askPresence(over: () => boolean): Promise<void> {
    for (;;) {
      const moves = this.#moves;
      const snapshot = await this.#host.presence(MAX_PRESENCE_MEMBERS);
      if (over()) return;
      if (this.#last?.epoch !== snapshot.epoch) {
        if (moves !== this.#moves) continue;
        this.#move(snapshot.epoch);
      }
      this.#generation = snapshot.generation;
      this.#host.handler()?.presenceLost(this.#host.channel, snapshot.epoch, snapshot);
      return;
    }
  }

  /**
   * Reads once what lies between the last entry and the run, and hands it over. What cannot be read is
   * reported.
   *
   * @param moved whether the gateway has stepped into another log meanwhile
   * @returns whether the run may still be handed over
   */
  async #fill(run: Run, moved: () => boolean): Promise<boolean> {
    const { epoch } = run;
    const until = before(run);
    // One more than is missing: whether it is there distinguishes a trimmed log from none at all.
    const answer = await this.#read(this.#last?.offset ?? 0, until + 1);
    // Another delivery may have brought it meanwhile.
    if (moved() || this.#goesOn(run)) return true;
    if (answer === undefined) {
      this.#skip("unavailable", { epoch, offset: until });
      return true;
    }
    if (answer.epoch !== epoch) {
      this.#move(answer.epoch);
      return false;
    }
    const after = this.#last?.offset ?? 0;
    const entries = answer.entries.filter(({ offset }) => after < offset && offset <= until);
    const first = entries[0];
    if (first === undefined) {
      // What was read has come meanwhile, and what follows it is still to be read.
      if (answer.entries.some(({ offset }) => offset <= after)) return true;
      const reason = answer.entries.length > 0 ? "head_trimmed" : "unavailable";
      this.#skip(reason, { epoch, offset: until });
      return true;
    }
    const missing = Number(first.offset) - 1;
    if (missing > after) this.#skip("head_trimmed", { epoch, offset: missing });
    this.#handEntries(epoch, entries);
    return true;
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

  /**
   * Steps into another log, at its start: its first messages may be on the way, or have to be read, for
   * sessions that listened before. A log that was left before goes on where it was left.
   */
  #move(epoch: string): void {
    const after = this.#last;
    const until = this.#left.find((end) => end.epoch === epoch) ?? { epoch, offset: 0 };
    const left = this.#left.filter((end) => end !== until);
    this.#left = after === undefined ? left : [...left, after].slice(-MAX_LEFT_LOGS);
    this.#last = until;
    this.#generation = 0;
    this.#moves += 1;
    this.#host.handler()?.gap(this.#host.channel, { reason: "epoch_changed", after, until });
  }
}

/** Offset up to which a gateway must have everything before it may take a run. */
function before({ entries, prev }: Run): number {
  const first = entries[0];
  return first === undefined ? prev : Math.max(prev, Number(first.offset) - 1);
}
