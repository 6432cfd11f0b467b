/**
 * Holds what subscribers were given against what was acknowledged: each has every message of its channel once and in order from
 * where it began, or a gap that says which are missing. The judge knows nothing of how the objects keep that.
 */
import { Histogram } from "../../bench/generator/histogram.ts";
import { TICKS } from "../../bench/generator/mark.ts";
import type { GapReason, Position } from "../../src/engine/ports/broker.ts";
import type { Agenda } from "./agenda.ts";
import type { Cohort } from "./cohort.ts";

/** Problems that are written out; the others are counted. */
const MAX_SHOWN = 20;
/** The longest time in the histogram, in milliseconds. */
const LONGEST_MS = 180_000;
/** Slices of a cohort's sockets, each with latencies of its own. */
const SLICES = 4;

interface Log {
  readonly epoch: string;
  /** The message at each offset, as it was seen first. */
  readonly numbers: number[];
  /** The last offset that was acknowledged. */
  head: number;
}

export class Judge {
  readonly problems: string[] = [];
  /** Problems in all. */
  broken = 0;
  /** Messages that subscribers were given live. */
  deliveries = 0;
  /** Messages that they were given because they came back. */
  replayed = 0;
  acknowledged = 0;
  refused = 0;
  /** Messages that a gap has named, counted for each subscriber, by its reason. */
  readonly gaps = new Map<GapReason, number>();
  /** Of live deliveries, from when the publisher's gateway has the frame until the subscriber's socket is written. */
  latencies = new Histogram();
  readonly #agenda: Agenda;
  readonly #logs = new Map<string, Log>();
  /** When each message was sent, in milliseconds since the beginning. */
  readonly #sent: number[] = [];

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
  }

  /** A message is sent now. Returns its number. */
  sends(): number {
    return this.#sent.push(this.#agenda.time) - 1;
  }

  acknowledges(channel: string, number: number, { epoch, offset }: Position): void {
    this.acknowledged += 1;
    const log = this.#logOf(channel, epoch);
    this.#stands(channel, log, offset, number);
    log.head = Math.max(log.head, offset);
  }

  /**
   * A cohort is given a message.
   *
   * @param written when the first and the last of its sockets are written, in milliseconds since the beginning; undefined
   * for a message that is replayed
   */
  takes(
    { channel, count, place }: Cohort,
    at: Position,
    number: number,
    written: readonly [first: number, last: number] | undefined,
  ): void {
    const where = `${channel} ${at.epoch}-${at.offset}`;
    if (place?.epoch !== at.epoch || at.offset !== place.offset + 1) {
      this.#problem(`${where} comes after ${place?.epoch}-${place?.offset} without a gap`);
    }
    this.#stands(channel, this.#logOf(channel, at.epoch), at.offset, number);
    if (written === undefined) {
      this.replayed += count;
      return;
    }
    this.deliveries += count;
    const [first, last] = written;
    for (let slice = 0; slice < SLICES; slice++) {
      const time = first + ((last - first) * (slice + 0.5)) / SLICES;
      const ms = Math.min(time - (this.#sent[number] ?? Number.NaN), LONGEST_MS);
      this.latencies.add(Math.round(ms * TICKS), count / SLICES);
    }
  }

  /** A cohort hears that messages are missing. */
  misses({ count, place }: Cohort, reason: GapReason, until: Position): void {
    const after = place?.epoch === until.epoch ? place.offset : 0;
    const missing = (until.offset - after) * count;
    this.gaps.set(reason, (this.gaps.get(reason) ?? 0) + missing);
  }

  /** Nothing moves any more: everybody has to have everything. */
  ends(cohorts: Iterable<Cohort>): void {
    for (const { channel, count, place, state } of cohorts) {
      const log = this.#logs.get(channel);
      if (state !== "live") this.#problem(`${count} subscribers of ${channel} are ${state}`);
      else if (log !== undefined && (place?.epoch !== log.epoch || place.offset < log.head)) {
        const has = `${place?.epoch}-${place?.offset}`;
        this.#problem(
          `${count} subscribers of ${channel} have ${has} and wait in vain for ${log.epoch}-${log.head}`,
        );
      }
    }
  }

  #logOf(channel: string, epoch: string): Log {
    let log = this.#logs.get(channel);
    if (log === undefined) {
      log = { epoch, numbers: [], head: 0 };
      this.#logs.set(channel, log);
    }
    // Every channel here has a history, so that its log outlives its object.
    if (log.epoch !== epoch) this.#problem(`${channel} has begun a new log ${epoch}`);
    return log;
  }

  #stands(channel: string, { numbers }: Log, offset: number, number: number): void {
    const known = numbers[offset];
    if (known === undefined) numbers[offset] = number;
    else if (known !== number) {
      this.#problem(`${channel} has message ${number} at ${offset}, where ${known} stands`);
    }
  }

  #problem(text: string): void {
    this.broken += 1;
    if (this.problems.length < MAX_SHOWN) this.problems.push(text);
  }
}
