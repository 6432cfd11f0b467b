/**
 * What was sent to a tab that it has not handled. A port keeps whatever is put into it, without a bound of its own: beyond
 * ours messages are left out, and become gaps when the tab can take more.
 */
import type { Position, WireGap, WireMessage } from "../../wire/frames.ts";

/** What a server replays for one request, by default, comes at once and has room. */
const MOST_MESSAGES = 10_000;
const MOST_BYTES = 8 * 1024 * 1024;
/** What a message takes beside its data, roughly. */
const MESSAGE_BYTES = 300;
/** Channels of which is remembered what was left out. */
const MOST_MISSED = 2_000;

export interface Missed {
  readonly gaps: readonly WireGap[];
  /** Channels whose members may have changed. */
  readonly presence: ReadonlySet<string>;
}

export class Waiting {
  /** The bytes of each message, the oldest first. */
  #sizes: number[] = [];
  #bytes = 0;
  /** From the first message that was left out until half of the bound is free. */
  #full = false;
  #gaps = new Map<string, WireGap>();
  #presence = new Set<string>();

  /** So much was left out that gaps cannot say it any more. */
  get overflowed(): boolean {
    return this.#gaps.size + this.#presence.size > MOST_MISSED;
  }

  /** Whether a message is to be sent; otherwise it is left out. */
  add(message: WireMessage): boolean {
    const { text_data, binary_data, json_data, proto_data } = message.payload ?? {};
    const data = text_data ?? binary_data ?? proto_data?.value ?? JSON.stringify(json_data);
    const size = (data?.length ?? 0) + MESSAGE_BYTES;
    this.#full ||= this.#sizes.length >= MOST_MESSAGES || this.#bytes + size > MOST_BYTES;
    // One that is larger than all of it goes by itself.
    if (this.#sizes.length === 0) this.#full = false;
    if (this.#full) {
      const { channel = "", epoch = "", offset = 0 } = message;
      // What is in no log cannot be missing from it.
      if (epoch)
        this.#miss({ channel, after: { epoch, offset: offset - 1 }, until: { epoch, offset } });
      return false;
    }
    this.#sizes.push(size);
    this.#bytes += size;
    return true;
  }

  /** A gap: whether it is sent later, with what lies around it. */
  missesMore(gap: WireGap): boolean {
    if (this.#full) this.#miss(gap);
    return this.#full;
  }

  missesPresence(channel: string): boolean {
    if (this.#full) this.#presence.add(channel);
    return this.#full;
  }

  /** So many were handled. @returns what was left out, as soon as there is room again */
  taken(count: number): Missed | undefined {
    for (const size of this.#sizes.splice(0, count)) this.#bytes -= size;
    if (!this.#full || this.#sizes.length > MOST_MESSAGES / 2 || this.#bytes > MOST_BYTES / 2) {
      return undefined;
    }
    this.#full = false;
    const missed = { gaps: [...this.#gaps.values()], presence: this.#presence };
    this.#gaps = new Map();
    this.#presence = new Set();
    return missed;
  }

  #miss({ channel = "", after, until }: WireGap): void {
    const known = this.#gaps.get(channel);
    const first: Position | undefined = known === undefined ? after : known.after;
    this.#gaps.set(channel, {
      channel,
      reason: known?.reason ?? "limit",
      ...(first && { after: first }),
      ...(until && { until }),
    });
  }
}
