/** C3 to C8: one subscription that catches up, from its acknowledgement to its verdict. */
import type { LogGap, Position } from "../../../src/engine/ports/broker.ts";
import type { Subscription } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Channel } from "./channel.ts";
import { check, type Outcome } from "./facts.ts";

export class RecoveryModel {
  /** The last place that is replayed. */
  readonly until: Position;
  /** The first place that may be replayed. */
  readonly first: number;
  /** What the request may still replay. */
  readonly budget: { messages: number; bytes: number };
  readonly #since: Position | undefined;
  readonly #rewind: number;
  /** The first that was replayed, and the one that is next. */
  #from: number | undefined;
  #next = 0;
  /** Bytes of the first, which was read last. */
  #last = 0;
  /** Whether the log did not answer, or answered from another life. */
  #failed = false;
  #reads = 0;

  /**
   * @param given the last place of what the session has; for a fresh one that of its acknowledgement
   * @param position that of the acknowledgement
   */
  constructor(
    { since, rewind, recover }: Subscription,
    given: Position,
    position: Position,
    budget: RecoveryModel["budget"],
  ) {
    const { epoch } = position;
    const foreign = given.epoch !== epoch;
    this.#since = since && { epoch: since.epoch, offset: Number(since.offset) };
    this.#rewind = recover || since !== undefined ? 0 : rewind;
    if (foreign && this.#rewind > 0) {
      // It was live in a log that has ended: nothing of the new one may be missing.
      this.#since = given;
      this.#rewind = 0;
    }
    const had = this.#since;
    const known = had?.epoch === epoch && had.offset <= position.offset ? had.offset : 0;
    this.until = foreign ? position : { epoch, offset: Math.max(given.offset, known) };
    const start = this.#rewind > 0 ? this.until.offset - this.#rewind : known;
    this.first = Math.max(0, start) + 1;
    this.budget = budget;
  }

  /** The log is read; returns a name for the call. */
  reads(channel: string): string {
    this.#reads += 1;
    return `read ${channel} ${this.#reads}`;
  }

  answered({ error, page }: Outcome): void {
    if (error !== undefined || page?.position.epoch !== this.until.epoch) this.#failed = true;
  }

  replays({ epoch, offset }: Position, channel: Channel): void {
    const name = `${epoch}-${offset} of ${channel.name}`;
    check(epoch === this.until.epoch, `${name} is replayed from another log`);
    this.#from ??= offset;
    if (this.#next === 0) this.#next = offset;
    check(offset === this.#next, `${name} is replayed instead of ${this.#next}`);
    check(offset >= this.first && offset <= this.until.offset, `${name} is replayed unasked`);
    this.#next += 1;
    this.budget.messages -= 1;
    const bytes = channel.logged({ epoch, offset })?.entry.body?.event.length ?? 0;
    this.budget.bytes -= bytes;
    if (offset === this.#from) this.#last = bytes;
  }

  /** The verdict: right in all that it says, and in all that it does not say. */
  ends(position: Position, gap: LogGap | undefined, channel: Channel, recoverable: boolean): void {
    const { until, first } = this;
    const since = this.#since;
    check(same(position, until), `${channel.name} is recovered up to ${show(position)}`);
    const replayed = this.#from !== undefined;
    check(!replayed || this.#next === until.offset + 1, `the replay ends before ${show(until)}`);
    const { messages, bytes } = this.budget;
    const within = !replayed || (messages >= 0 && bytes + this.#last > 0);
    check(within, `${channel.name} replays ${-messages} messages or ${-bytes} bytes too many`);
    const from = this.#from ?? until.offset + 1;
    const life = channel.named(until.epoch);
    const expected = (): Partial<LogGap> | undefined => {
      const all = { after: since, until };
      if (!recoverable) return { reason: "unavailable", ...all };
      if (this.#rewind > 0) {
        const after = { epoch: until.epoch, offset: first - 1 };
        const hole = this.#hole(from, gap, life?.trimmed ?? 0, life?.reasons);
        // Who asks for the last messages has missed none that are gone.
        const gone = hole?.reason === "head_trimmed" || hole?.reason === "expired";
        return hole === undefined || gone ? undefined : { ...hole, after };
      }
      if (since === undefined || since.epoch === "") {
        return { reason: "unavailable", after: undefined, until };
      }
      if (since.epoch === until.epoch) {
        if (since.offset > until.offset) return { reason: "epoch_changed", ...all };
        const hole = this.#hole(from, gap, life?.trimmed ?? 0, life?.reasons);
        return hole && { ...hole, after: since };
      }
      const missing = { epoch: until.epoch, offset: from - 1 };
      return { reason: "epoch_changed", after: since, until: missing };
    };
    const right = expected();
    const text = `${channel.name} up to ${show(until)} from ${from} says ${JSON.stringify(gap)}`;
    check((right === undefined) === (gap === undefined), `${text}, not ${JSON.stringify(right)}`);
    if (gap === undefined || right === undefined) return;
    check(gap.reason === right.reason, `${text}, not ${right.reason}`);
    check(same(gap.after, right.after), `${text}, not after ${show(right.after)}`);
    check(same(gap.until, right.until), `${text}, not until ${show(right.until)}`);
  }

  /** What is missing before the first that was replayed, if anything is, and why. */
  #hole(
    from: number,
    gap: LogGap | undefined,
    trimmed: number,
    reasons: ReadonlySet<string> | undefined,
  ): Pick<LogGap, "reason" | "until"> | undefined {
    if (from <= this.first) return undefined;
    const until = { epoch: this.until.epoch, offset: from - 1 };
    const { messages, bytes } = this.budget;
    if (messages <= 0 || bytes <= 0) return { reason: "limit", until };
    if (this.#failed) return { reason: "unavailable", until };
    check(trimmed >= from - 1, `${show(until)} is said to be gone and is there`);
    const said = gap?.reason;
    const known = said !== undefined && reasons?.has(said);
    return { reason: known ? said : "head_trimmed", until };
  }
}

function same(one: Position | undefined, other: Position | undefined): boolean {
  return one?.epoch === other?.epoch && one?.offset === other?.offset;
}

function show(position: Position | undefined): string {
  return position === undefined ? "nothing" : `${position.epoch}/${position.offset}`;
}
