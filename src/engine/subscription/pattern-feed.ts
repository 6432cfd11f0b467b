/**
 * What one session takes of the channels that its patterns stand for. A pattern has no place in a
 * channel's log, so all that comes is taken; only a channel that was caught up with has a floor until the
 * live messages are past it. While the session catches up everything of its patterns is held back.
 */
import { MAX_REPLAY_BUFFER_BYTES } from "../../protocol/limits.ts";
import type { PublicationBatch } from "../../protocol/publication-frames.ts";
import type { LogGap, Position } from "../ports/broker.ts";
import { Listener } from "./listener.ts";
import { GAP_BYTES, type HeldItem, noticeBytes } from "./replay-buffer.ts";

/** Messages of one channel that were too much to be held: they are read from the log again. */
export interface DroppedRange {
  readonly channel: string;
  readonly epoch: string;
  /** Offset before the first of them. */
  readonly after: number;
  /** Offset of the last of them. */
  until: number;
}

export type PatternItem = HeldItem | OverflowedItem;

/** Notices of a channel that were too much to be held: the members are read instead. */
export interface LostPresence {
  readonly channel: string;
  readonly lost: true;
}

/** What was too much to be held and has to be read. */
export type OverflowedItem = { readonly range: DroppedRange } | LostPresence;

/** What a range, or a channel whose notices were dropped, takes beside the channel's name; in bytes. */
const MARK_BYTES = 250;

/** The channel that something is of. */
export function channelOf(item: PatternItem): string {
  if ("batch" in item) return item.batch.channel;
  if ("transients" in item) return item.transients.channel;
  return "range" in item ? item.range.channel : item.channel;
}

function bytesOf(item: PatternItem): number {
  if ("batch" in item) return item.batch.bytes;
  if ("transients" in item) return item.transients.bytes;
  const name = 2 * channelOf(item).length;
  if ("gap" in item) return GAP_BYTES + name;
  return "notice" in item ? noticeBytes(item.notice) + name : MARK_BYTES + name;
}

/**
 * What comes of patterns while a session catches up, in its order. Bounded: past the bound it is read again,
 * and where even what has to be read is too much, all of it is lost and has to be reported by a gap.
 */
export class PatternReplayBuffer {
  #items: PatternItem[] = [];
  #bytes = 0;
  #overflowed = false;

  get empty(): boolean {
    return this.#items.length === 0 && !this.#overflowed;
  }

  add(item: PatternItem): void {
    this.#items.push(item);
    this.#bytes += bytesOf(item);
    if (this.#bytes > MAX_REPLAY_BUFFER_BYTES) this.#drop();
  }

  /** Takes the oldest, or undefined when nothing is held. */
  take(): PatternItem | undefined {
    const item = this.#items.shift();
    if (item !== undefined) this.#bytes -= bytesOf(item);
    return item;
  }

  /** Whether all that was held was lost since the last call; what is held now came after that. */
  takeOverflow(): boolean {
    const overflowed = this.#overflowed;
    this.#overflowed = false;
    return overflowed;
  }

  /** Lets go of messages of a channel that are not of the log that it has now. */
  discard(channel: string, epoch: string): void {
    this.#keep((item) => {
      const of = "batch" in item ? item.batch : "range" in item ? item.range : undefined;
      return of === undefined || of.channel !== channel || of.epoch === epoch;
    });
  }

  /** Lets go of notices of a channel that are part of what its session has heard of it. */
  discardNotices(channel: string, generation: number): void {
    this.#keep(
      (item) =>
        !("notice" in item) || item.channel !== channel || item.notice.generation > generation,
    );
  }

  #keep(stays: (item: PatternItem) => boolean): void {
    const kept = this.#items.filter(stays);
    if (kept.length === this.#items.length) return;
    this.#items = kept;
    this.#count();
  }

  /**
   * Keeps of every batch only where it lies in its log, of notices only whose they are, and nothing of what is
   * in no log. What is in order stays in order within a channel.
   */
  #drop(): void {
    const items: PatternItem[] = [];
    const open = new Map<string, DroppedRange>();
    const lost = new Set<string>();
    for (const item of this.#items) {
      if ("batch" in item || "range" in item) {
        const range = "range" in item ? item.range : rangeOf(item.batch);
        const before = open.get(range.channel);
        if (before?.epoch === range.epoch) before.until = range.until;
        else {
          open.set(range.channel, range);
          items.push({ range });
        }
      } else if ("gap" in item) {
        open.delete(item.channel);
        items.push(item);
      } else if (!("transients" in item) && !lost.has(item.channel)) {
        lost.add(item.channel);
        items.push({ channel: item.channel, lost: true });
      }
    }
    this.#items = items;
    this.#count();
    if (this.#bytes <= MAX_REPLAY_BUFFER_BYTES / 2) return;
    this.#items = [];
    this.#bytes = 0;
    this.#overflowed = true;
  }

  #count(): void {
    this.#bytes = 0;
    for (const item of this.#items) this.#bytes += bytesOf(item);
  }
}

/** One for all patterns of a session. */
export class PatternFeed extends Listener<PatternReplayBuffer> {
  /** The last look of the hub at all patterns in which the session was met. */
  met = 0;
  /** Where the replay of a channel ended: live messages up to there are not for this session. */
  readonly #floors = new Map<string, Position>();

  floor(channel: string): Position | undefined {
    return this.#floors.get(channel);
  }

  setFloor(channel: string, floor: Position): void {
    this.#floors.set(channel, floor);
  }

  protected override after(batch: PublicationBatch): number {
    const { channel, epoch, firstOffset, lastOffset } = batch;
    // Sessions that never caught up, nearly all, pay for one look.
    if (this.#floors.size === 0) return 0;
    const floor = this.#floors.get(channel);
    if (floor === undefined) return 0;
    // The node hands over in order: what comes later lies after the floor.
    if (floor.epoch !== epoch || lastOffset >= floor.offset) this.#floors.delete(channel);
    if (floor.epoch === epoch) return floor.offset;
    // The node did not know the log that was caught up with.
    const until = { epoch, offset: firstOffset - 1 };
    this.subscriber.tellGap(channel, { reason: "epoch_changed", after: floor, until });
    return 0;
  }

  protected override part(channel: string, { reason, after, until }: LogGap): LogGap | undefined {
    const floor = this.#floors.get(channel);
    if (floor === undefined) return { reason, after, until };
    if (floor.epoch === until.epoch && floor.offset >= until.offset) return undefined;
    this.#floors.delete(channel);
    const later = floor.epoch === after?.epoch && after.offset > floor.offset;
    return { reason, after: later ? after : floor, until };
  }

  protected override isNews(): boolean {
    return true;
  }
}

function rangeOf({ channel, epoch, firstOffset, lastOffset }: PublicationBatch): DroppedRange {
  return { channel, epoch, after: firstOffset - 1, until: lastOffset };
}
