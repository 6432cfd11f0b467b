/**
 * Puts what a client sends by calls of their own into its order. Every message has a number, counted from 1; calls may
 * come in any order, more than once and overlapping, and each message is handed on once, after the one before it.
 *
 * All that must outlive a sleep of the host is `taken`. A host may sleep whenever nothing is held back: only then is
 * no timer set.
 */
import { MessagingError } from "../../../protocol/errors.ts";
import { MAX_HELD_BYTES, MAX_HELD_MESSAGES, MAX_HELD_MS } from "../../../protocol/limits.ts";

/** A message and its length on the wire, in bytes. */
export interface Sized {
  readonly size: number;
}

export interface SendOrderOptions<Message extends Sized> {
  /** The last number of which all messages have been taken before. Default 0: none. */
  readonly taken?: number;
  /** The time that waiting is measured with, in milliseconds. */
  readonly now: () => number;
  /** Calls back once after some milliseconds, unless what it returns is called first. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** Takes the next message. MUST NOT throw; it may call `end`. */
  readonly take: (message: Message) => void;
  /** More is held back than may be, or for longer. The order has ended. */
  readonly overrun: () => void;
}

interface Held<Message> {
  readonly message: Message;
  /** When it arrived. */
  readonly since: number;
}

/**
 * @example
 * const order = new SendOrder<Sized>({ now, after, take, overrun });
 * order.put(2, [second]); // 0: held back
 * order.put(1, [first, second]); // 2: first, then second, once
 */
export class SendOrder<Message extends Sized> {
  readonly #options: SendOrderOptions<Message>;
  /** By number; in the order of their arrival. */
  readonly #held = new Map<number, Held<Message>>();
  #heldBytes = 0;
  #taken: number;
  #stopTimer: (() => void) | undefined;
  #ended = false;

  constructor(options: SendOrderOptions<Message>) {
    this.#options = options;
    this.#taken = options.taken ?? 0;
  }

  /** The last number of which all messages have been taken. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes messages whose turn it is and holds back those whose turn it is not yet.
   *
   * @param seq number of the first of them, as `checkedSeq` lets it through
   * @returns the last number of which all messages have been taken
   */
  put(seq: number, messages: readonly Message[]): number {
    for (const [index, message] of messages.entries()) {
      if (this.#ended) break;
      const number = seq + index;
      // What was taken, or is held back, has come before.
      if (number <= this.#taken || this.#held.has(number)) continue;
      if (number === this.#taken + 1) this.#advance(message);
      else this.#hold(number, message);
    }
    this.#watch();
    return this.#taken;
  }

  /** Lets go of what is held back: nothing more is taken. */
  end(): void {
    this.#ended = true;
    this.#held.clear();
    this.#heldBytes = 0;
    this.#watch();
  }

  /** Takes the next message, and those that have waited for it. */
  #advance(message: Message): void {
    for (let next: Message | undefined = message; next !== undefined && !this.#ended; ) {
      // Before it is taken: what takes it may ask how far this is.
      this.#taken += 1;
      this.#options.take(next);
      const held = this.#held.get(this.#taken + 1);
      if (held !== undefined) this.#forget(this.#taken + 1, held.message);
      next = held?.message;
    }
  }

  #hold(number: number, message: Message): void {
    this.#held.set(number, { message, since: this.#options.now() });
    this.#heldBytes += message.size;
    if (this.#held.size > MAX_HELD_MESSAGES || this.#heldBytes > MAX_HELD_BYTES) this.#overrun();
  }

  #forget(number: number, { size }: Message): void {
    this.#held.delete(number);
    this.#heldBytes -= size;
  }

  #overrun(): void {
    this.end();
    this.#options.overrun();
  }

  /** Has a timer set while something is held back, and none otherwise. */
  #watch(): void {
    const [oldest] = this.#held.values();
    if (oldest === undefined) {
      this.#stopTimer?.();
      this.#stopTimer = undefined;
      return;
    }
    if (this.#stopTimer !== undefined) return;
    const { now, after } = this.#options;
    this.#stopTimer = after(Math.max(oldest.since + MAX_HELD_MS - now(), 0), () => {
      this.#stopTimer = undefined;
      // The one that the timer was set for may have been taken since then.
      const [first] = this.#held.values();
      if (first !== undefined && now() - first.since >= MAX_HELD_MS) this.#overrun();
      else this.#watch();
    });
  }
}

/**
 * The number of a call's first message, where all its messages have numbers that can be distinguished.
 *
 * @param count messages of the call
 * @throws MessagingError BAD_REQUEST
 */
export function checkedSeq(seq: bigint, count: number): number {
  if (seq < 1n) throw new MessagingError("BAD_REQUEST", "seq counts from 1");
  if (seq + BigInt(count) - 1n > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new MessagingError("BAD_REQUEST", "seq is beyond 2^53 - 1");
  }
  return Number(seq);
}
