/**
 * What was read from logs for sessions that come back. After a restart or a cut, many come back at once and have missed the
 * same: one of them reads it and has it encoded, and the others look only whether the log still held it when they came.
 */
import type { Entry } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { type FrameStamp, PublicationBatch } from "../../../protocol/publication-frames.ts";
import type { Held, Position } from "../../ports/broker.ts";
import { portions, type RecoveryResult, type ReplayBudget } from "./found.ts";

/** What is kept at most, in bytes of events; what is encoded takes about six times as much beside it. */
const MAX_BYTES = 4_194_304;
/** What an entry takes beside its event, about. */
const ENTRY_BYTES = 128;

/** The entries in (after, until] of a channel's log. */
export interface Range {
  readonly channel: string;
  readonly after: number;
  readonly until: Position;
}

/** How a session reads: `pages` reads the range itself, `held` says what history holds of the log, if it is still that one. */
export interface RangeReader {
  pages(): Promise<RecoveryResult>;
  held(): Promise<Held | undefined>;
}

interface Kept {
  readonly result: RecoveryResult;
  readonly messages: number;
  /** Of events. */
  readonly bytes: number;
  readonly cost: number;
}

export class SharedReads {
  /** By range; what was used last comes last. */
  readonly #kept = new Map<string, Kept>();
  #cost = 0;
  /** Reads that are under way. None of them rejects. */
  readonly #reading = new Map<string, Promise<unknown>>();
  readonly #batches = new WeakMap<readonly Entry[], readonly PublicationBatch[]>();

  /** Reads a range, or takes what another session has read of it. Uses up the budget. */
  async read(range: Range, budget: ReplayBudget, reader: RangeReader): Promise<RecoveryResult> {
    const { channel, after, until } = range;
    const key = `${until.epoch} ${after} ${until.offset} ${channel}`;
    const under = this.#reading.get(key);
    if (under !== undefined) await under;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.messages <= budget.messages && kept.bytes <= budget.bytes) {
      if (holds(await reader.held(), after, kept.result)) {
        budget.messages -= kept.messages;
        budget.bytes -= kept.bytes;
        this.#use(key, kept);
        return kept.result;
      }
      this.#drop(key);
    }
    const reading = reader.pages();
    if (this.#reading.has(key)) return await reading;
    this.#reading.set(key, reading);
    try {
      const result = await reading;
      this.#keep(key, result);
      return result;
    } finally {
      this.#reading.delete(key);
    }
  }

  /** Entries as they are replayed: the same batches for all sessions that have the same entries. */
  batches(
    channel: string,
    epoch: string,
    entries: readonly Entry[],
    stamp: FrameStamp,
  ): readonly PublicationBatch[] {
    const known = this.#batches.get(entries);
    if (known !== undefined) return known;
    const made = Array.from(
      portions(entries),
      (portion) => new PublicationBatch(channel, epoch, portion, stamp, true),
    );
    this.#batches.set(entries, made);
    return made;
  }

  #keep(key: string, result: RecoveryResult): void {
    const { entries, gap } = result;
    // What else it depends on than the log, another session need not meet.
    const isOfLog = gap === undefined || gap.reason === "head_trimmed" || gap.reason === "expired";
    if (entries.length === 0 || !isOfLog) return;
    let bytes = 0;
    for (const { body } of entries) bytes += body?.event.length ?? 0;
    const cost = bytes + ENTRY_BYTES * entries.length;
    if (cost > MAX_BYTES / 4) return;
    this.#drop(key);
    this.#use(key, { result, messages: entries.length, bytes, cost });
    this.#cost += cost;
    for (const oldest of this.#kept.keys()) {
      if (this.#cost <= MAX_BYTES) return;
      this.#drop(oldest);
    }
  }

  #use(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
  }

  #drop(key: string): void {
    this.#cost -= this.#kept.get(key)?.cost ?? 0;
    this.#kept.delete(key);
  }
}

/** Whether the log would still give the same. */
function holds(held: Held | undefined, after: number, { gap }: RecoveryResult): boolean {
  if (held === undefined) return false;
  if (gap === undefined) return held.first <= after + 1;
  return held.first === gap.until.offset + 1 && held.reason === gap.reason;
}
