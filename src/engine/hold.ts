/** What a subscription to a channel holds back until its session has been told all that comes before. */
import { MAX_HELD_BYTES } from "../protocol/limits.ts";
import type { PublicationBatch, SharedFrame } from "../protocol/publication-frames.ts";
import type { LogGap, Member, Position } from "./ports.ts";

/** A notice of presence, which goes to everyone but the member it is about. */
export interface PresenceNotice {
  /** Undefined for a notice about all. */
  readonly member: Member | undefined;
  readonly generation: number;
  readonly frame: SharedFrame;
}

/** What a subscription holds back, bounded: past the bound its messages are read from the log again. */
export class Hold {
  #items: HeldItem[] = [];
  #bytes = 0;
  #dropped: Position | undefined;

  /** Whether messages were dropped: then the log has to be read before the rest goes out. */
  get overflowed(): boolean {
    return this.#dropped !== undefined;
  }

  /** The last message that was dropped since the last call. */
  takeDropped(): Position | undefined {
    const dropped = this.#dropped;
    this.#dropped = undefined;
    return dropped;
  }

  add(item: HeldItem): void {
    this.#items.push(item);
    if (!("batch" in item)) return;
    this.#bytes += item.batch.bytes;
    if (this.#bytes <= MAX_HELD_BYTES) return;
    const { epoch, lastOffset } = item.batch;
    this.#dropped = { epoch, offset: lastOffset };
    // Reading the log finds what gaps there are by itself, except that it begins anew.
    this.#items = this.#items.filter((held) => "notice" in held || beginning(held) !== undefined);
    this.#bytes = 0;
  }

  /** Whether a gap has told that a log of this epoch begins. */
  announced(epoch: string): boolean {
    return this.#items.some((held) => beginning(held) === epoch);
  }

  /** Forgets what came before the log that the subscription begins in, where that was told. */
  beginIn(epoch: string): void {
    const start = this.#items.findLastIndex((held) => beginning(held) === epoch);
    if (start < 0) return;
    this.#items = this.#items.filter((held, index) => index >= start || "notice" in held);
    const dropped = this.#dropped?.epoch ?? epoch;
    if (dropped !== epoch && !this.announced(dropped)) this.#dropped = undefined;
  }

  /** What is held, in the order in which it came. */
  get items(): readonly HeldItem[] {
    return this.#items;
  }
}

type HeldItem =
  | { readonly batch: PublicationBatch }
  | { readonly gap: LogGap }
  | { readonly notice: PresenceNotice };

/** The epoch of a log that begins with what is held. */
function beginning(held: HeldItem): string | undefined {
  return "gap" in held && held.gap.reason === "epoch_changed" ? held.gap.until.epoch : undefined;
}
