/**
 * A channel's leave to take messages: for a while it knows which gateways hear it through patterns, since the
 * index pushes to it each one that comes meanwhile. It is asked for before the first message, and again in the
 * background near its end while messages come, so that a busy channel asks once per lease and hardly
 * any message waits. Nothing of it is stored: another life of the channel asks again.
 *
 * | state | since | a message |
 * | --- | --- | --- |
 * | none | the life began, or the index has lost what it knew | asks the index, and waits for the answer |
 * | held | the index has answered | is taken; in the last sixth of the lease it has the index asked again |
 * | over | `leaseMs` after the question | asks the index, and waits for the answer |
 *
 * A question that fails changes no state. The messages that wait for it are refused, and the next one asks again.
 */
import { delay } from "../../engine/ports/timers.ts";
import type { LeaseTerms } from "../calls/lease-terms.ts";
import type { PatternInterest } from "../calls/pattern-interest.ts";
import { retrying, toIndex } from "../calls/retry.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { Trouble } from "../trouble.ts";

/** The part of a lease, at its end, in which a message has it renewed. */
const RENEWED_PART = 1 / 6;
/**
 * How long the index may take to answer, in milliseconds; then the message is refused. Less than what a
 * gateway waits for the channel, so that it hears that nothing was taken.
 */
const ASK_TIMEOUT_MS = 3_000;
/** How long a question waits for which no message waits, in milliseconds. */
export const ASK_LATER_MS = 1_000;
/**
 * What it waits for each channel that the gateway has still to call, and for all of them at most, in milliseconds: to
 * call one takes less on any machine, and an object that waits for ten seconds may be put to sleep.
 */
const EACH_WAITING_MS = 25;
export const MOST_WAITING_MS = 5_000;

export interface LeaseHost {
  readonly terms: LeaseTerms;
  now(): number;
  /** Asks the index. Resolves with the gateways that hear the channel through patterns. */
  ask(): Promise<readonly PatternInterest[]>;
  /**
   * What the index has answered, before a message is taken on it.
   *
   * @param round of the question: what was pushed in it or later need not be part of the answer
   */
  granted(interests: readonly PatternInterest[], round: number): void;
  readonly platform: ObjectPlatform;
}

export class ChannelLease {
  readonly #host: LeaseHost;
  /** Unix milliseconds. */
  #until = 0;
  #round = 0;
  #asking: Promise<void> | undefined;
  #later: Promise<void> | undefined;
  readonly #trouble: Trouble;

  constructor(host: LeaseHost) {
    this.#host = host;
    this.#trouble = new Trouble("questions to the pattern index", host.platform);
  }

  /** Counts the questions to the index. */
  get round(): number {
    return this.#round;
  }

  /** Whether every gateway that hears the channel through a pattern is known. */
  get held(): boolean {
    return this.#host.now() < this.#until;
  }

  /**
   * Undefined while the lease is held, else a promise for it. Its waiters look again afterwards; those that
   * wait together are woken in their order.
   *
   * @throws MessagingError UNAVAILABLE when the index does not answer in time
   */
  take(): Promise<void> | undefined {
    return this.takeHeld() ? undefined : this.#ask();
  }

  /** Whether the lease is held. Where it is near its end it is asked for again; where it is not held it is not asked for. */
  takeHeld(): boolean {
    const left = this.#until - this.#host.now();
    if (left <= 0) return false;
    if (left <= this.#host.terms.leaseMs * RENEWED_PART) this.askSoon();
    return true;
  }

  /** The lease is over before its time. */
  end(): void {
    this.#until = 0;
  }

  /** Asks without a waiter. A failure has been logged by then. */
  askSoon(): void {
    this.#ask().catch((error: unknown) => this.#trouble.failed(error));
  }

  /**
   * Asks when the callers of the channel have been answered, unless its hearers are known by then:
   * where a session comes to hundreds of channels at once the questions would double their work.
   *
   * @param waiting channels that the gateway has still to call
   */
  askLater(waiting: number): void {
    const later = ASK_LATER_MS + Math.min(waiting * EACH_WAITING_MS, MOST_WAITING_MS);
    this.#later ??= delay(this.#host.platform.timers, later).then(() => {
      this.#later = undefined;
      if (!this.held) this.askSoon();
    });
    this.#later.catch((error: unknown) => this.#trouble.failed(error));
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#question().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #question(): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    // Counted from the first try: the index counts from whichever reached it.
    const until = this.#host.now() + this.#host.terms.leaseMs;
    const { platform } = this.#host;
    const interests = await retrying(
      () => this.#host.ask(),
      toIndex(platform, this.#trouble, ASK_TIMEOUT_MS),
    );
    this.#host.granted(interests, round);
    this.#until = until;
  }
}
