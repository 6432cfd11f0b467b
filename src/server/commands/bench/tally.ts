/** What a load test counts: each publish and each delivery of it, once. */

/** Latencies that are kept, and so deliveries that a test may have: 20 MB. */
export const MAX_DELIVERIES = 5_000_000;

export interface TallyOptions {
  readonly subscribers: number;
  readonly channels: number;
  /** How many publishes there are to be. */
  readonly publishes: number;
}

/** Milliseconds; undefined where nothing was delivered. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Counts a load test. Publishes and subscribers are numbers from 0 on, times are milliseconds of a steady clock.
 *
 * @example
 * const tally = new Tally({ subscribers: 2, channels: 1, publishes: 100 });
 * tally.published(0, 12.5);
 * tally.deliver(1, 0, 14);
 * tally.latency?.p50; // 1.5
 */
export class Tally {
  readonly #options: TallyOptions;
  /** When each publish was to be made, in milliseconds of a steady clock. */
  readonly #planned: Float64Array;
  readonly #acknowledged: Uint8Array;
  /** One byte for each subscriber and publish of its channel. */
  readonly #seen: readonly Uint8Array[];
  readonly #latencies: Float32Array;
  #delivered = 0;
  #duplicates = 0;
  #strange = 0;

  constructor(options: TallyOptions) {
    const { subscribers, channels, publishes } = options;
    this.#options = options;
    this.#planned = new Float64Array(publishes);
    this.#acknowledged = new Uint8Array(publishes);
    const each = Math.ceil(publishes / channels);
    this.#seen = Array.from({ length: subscribers }, () => new Uint8Array(each));
    this.#latencies = new Float32Array(subscribers * each);
  }

  get delivered(): number {
    return this.#delivered;
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  /** Deliveries of what was never published, or was published to another channel than the subscriber's. */
  get strange(): number {
    return this.#strange;
  }

  get acknowledged(): number {
    return this.#acknowledged.reduce((sum, one) => sum + one, 0);
  }

  /** The channel of a publish, and of a subscriber. */
  channelOf(number: number): number {
    return number % this.#options.channels;
  }

  published(publish: number, plannedAt: number): void {
    this.#planned[publish] = plannedAt;
  }

  acknowledge(publish: number): void {
    this.#acknowledged[publish] = 1;
  }

  deliver(subscriber: number, publish: number, now: number): void {
    const { channels } = this.#options;
    const planned = this.#planned[publish];
    const seen = this.#seen[subscriber];
    if (!planned || seen === undefined || this.channelOf(publish) !== this.channelOf(subscriber)) {
      this.#strange += 1;
      return;
    }
    const place = Math.floor(publish / channels);
    if (seen[place] === 1) {
      this.#duplicates += 1;
      return;
    }
    seen[place] = 1;
    this.#latencies[this.#delivered] = now - planned;
    this.#delivered += 1;
  }

  /** Deliveries of acknowledged publishes that have not come. */
  get lost(): number {
    const { channels, subscribers } = this.#options;
    let lost = 0;
    for (let subscriber = 0; subscriber < subscribers; subscriber++) {
      const seen = this.#seen[subscriber];
      for (let at = this.channelOf(subscriber); at < this.#acknowledged.length; at += channels) {
        if (this.#acknowledged[at] === 1 && seen?.[Math.floor(at / channels)] !== 1) lost += 1;
      }
    }
    return lost;
  }

  get latency(): Latency | undefined {
    if (this.#delivered === 0) return undefined;
    const sorted = this.#latencies.slice(0, this.#delivered).sort();
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
    return { p50: at(0.5), p99: at(0.99), max: at(1) };
  }
}
