/** What reaches a subscription to a channel while its session is still being sent what came before. */
import type { Member } from "../../channels/presence.ts";
import { MAX_REPLAY_BUFFER_BYTES } from "../../protocol/limits.ts";
import type { PublicationBatch, SharedFrame } from "../../protocol/publication-frames.ts";
import type { TransientBatch } from "../../protocol/transient-frames.ts";
import type { LogGap, Position } from "../ports/broker.ts";

/** What waits: messages, gaps, and notices of presence. */
export type HeldItem =
  | { readonly batch: PublicationBatch }
  | { readonly transients: TransientBatch }
  | { readonly channel: string; readonly gap: LogGap }
  | { readonly channel: string; readonly notice: PresenceNotice };

/** A notice of presence, which goes to everyone but the member it is about. */
export interface PresenceNotice {
  /** Undefined for a notice about all. */
  readonly member: Member | undefined;
  readonly generation: number;
  readonly frame: SharedFrame;
}

/** What a gap takes while it waits, about, in bytes. */
export const GAP_BYTES = 300;
/** What a notice takes beside the names in it. */
const NOTICE_BYTES = 400;

/** What a notice takes while it waits, about, in bytes. */
export function noticeBytes({ member }: PresenceNotice): number {
  return NOTICE_BYTES + 2 * ((member?.userId.length ?? 0) + (member?.clientId.length ?? 0));
}

/**
 * Messages, gaps and notices that wait for a replay to end. Bounded: past the bound messages are read from
 * the log again, the members are read instead of the changes, and what is in no log is lost.
 */
export class ReplayBuffer {
  #items: HeldItem[] = [];
  #bytes = 0;
  #dropped: Position | undefined;
  #lostPresence = false;

  /** Whether something was dropped: then it has to be read before the rest goes out. */
  get overflowed(): boolean {
    return this.#dropped !== undefined || this.#lostPresence;
  }

  /** The last message that was dropped since the last call. */
  takeDropped(): Position | undefined {
    const dropped = this.#dropped;
    this.#dropped = undefined;
    return dropped;
  }

  /** Whether notices of presence were dropped since the last call. */
  takeLostPresence(): boolean {
    const lost = this.#lostPresence;
    this.#lostPresence = false;
    return lost;
  }

  add(item: HeldItem): void {
    this.#items.push(item);
    this.#bytes += bytesOf(item);
    if (this.#bytes > MAX_REPLAY_BUFFER_BYTES) this.#drop();
  }

  /** Puts what replaces lost notices before all that is buffered; those that it covers are not reported. */
  putFirst(channel: string, notice: PresenceNotice): void {
    this.#items.unshift({ channel, notice });
    this.#bytes += noticeBytes(notice);
  }

  /** Whether a gap has reported that a log of this epoch begins. */
  announced(epoch: string): boolean {
    return this.#items.some((item) => beginning(item) === epoch);
  }

  /** Forgets what came before the log that the subscription begins in, where that was reported. */
  beginIn(epoch: string): void {
    const start = this.#items.findLastIndex((item) => beginning(item) === epoch);
    if (start < 0) return;
    this.#items = this.#items.filter((item, index) => index >= start || "notice" in item);
    this.#count();
    const dropped = this.#dropped?.epoch ?? epoch;
    if (dropped !== epoch && !this.announced(dropped)) this.#dropped = undefined;
  }

  /** What is buffered, in the order in which it came. */
  get items(): readonly HeldItem[] {
    return this.#items;
  }

  #drop(): void {
    const last = this.#items.findLast((item) => "batch" in item);
    if (last !== undefined) {
      const { epoch, lastOffset } = last.batch;
      this.#dropped = { epoch, offset: lastOffset };
      // Reading the log finds what gaps there are by itself, except that it begins again.
      this.#items = this.#items.filter((item) => "notice" in item || beginning(item) !== undefined);
    }
    this.#count();
    // Where notices take most of the room they go as well, so that not every item drops something.
    if (this.#bytes <= MAX_REPLAY_BUFFER_BYTES / 2) return;
    this.#lostPresence ||= this.#items.some((item) => "notice" in item);
    this.#items = this.#items.filter((item) => !("notice" in item));
    this.#count();
  }

  #count(): void {
    this.#bytes = 0;
    for (const item of this.#items) this.#bytes += bytesOf(item);
  }
}

function bytesOf(item: HeldItem): number {
  if ("batch" in item) return item.batch.bytes;
  if ("transients" in item) return item.transients.bytes;
  return "gap" in item ? GAP_BYTES : noticeBytes(item.notice);
}

/** The epoch of a log that begins with this item. */
function beginning(item: HeldItem): string | undefined {
  return "gap" in item && item.gap.reason === "epoch_changed" ? item.gap.until.epoch : undefined;
}
