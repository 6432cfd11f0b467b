/**
 * One life of a pattern index: which gateway has registered which pattern, and which channels hold a
 * lease. A channel takes messages only while it holds one, and learns with it which gateways hear it through patterns;
 * one that registers later is pushed to it. So what is published after a registration was answered
 * reaches the gateway: each channel that it is for has confirmed the push, or has no lease any more and
 * will ask.
 */
import { made } from "../../channels/maps.ts";
import { PatternMap } from "../../channels/pattern-map.ts";
import { matches } from "../../channels/patterns.ts";
import type { ActiveChannels } from "../../engine/ports/broker.ts";
import type { Clock } from "../../engine/ports/platform.ts";
import type { SharedAlarm } from "../alarm.ts";
import type { LeaseTerms } from "../calls/lease-terms.ts";
import { mergeInterest, type PatternInterest } from "../calls/pattern-interest.ts";
import type { PatternRow, PatternStore } from "../ports/pattern-store.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { Trouble } from "../trouble.ts";
import { push } from "./push.ts";

/**
 * How long an index knows of a channel after its last lease, in milliseconds: so long a subscriber of a
 * pattern may be away and still hear in which channels something was published.
 */
export const LEASES_KEPT_MS = 24 * 60 * 60 * 1000;
/** Shortest time between two lives of the alarm that forgets leases, in milliseconds. */
const FORGET_EVERY_MS = 60 * 60 * 1000;

export interface IndexHost {
  readonly store: PatternStore;
  /** The time of leases. */
  readonly clock: Clock;
  readonly alarm: SharedAlarm;
  readonly terms: LeaseTerms;
  readonly platform: ObjectPlatform;
  /** Reports to a channel that a gateway hears it. Resolves when the channel has confirmed. */
  tellInterest(channel: string, interest: PatternInterest): Promise<void>;
}

export class PatternIndex {
  readonly #host: IndexHost;
  readonly #store: PatternStore;
  /** What each gateway has registered, by pattern. */
  readonly #patterns = new PatternMap<Map<string, PatternRow>>();
  /** Since when each lease that may be live was granted, the oldest first. */
  readonly #leases = new Map<string, number>();
  readonly #trouble: Trouble;
  /** The latest time that was given out; another machine's clock may lag. */
  #last: number;

  constructor(host: IndexHost) {
    this.#host = host;
    this.#store = host.store;
    this.#trouble = new Trouble("calls to channels", host.platform);
    for (const row of this.#store.patterns()) this.#keep(row);
    this.#last = this.#store.span()?.last ?? 0;
    for (const { channel, leasedAt } of this.#store.leasesSince(this.#now() - this.#span)) {
      this.#leases.set(channel, leasedAt);
    }
  }

  /** Channels whose lease may be live, as far as they were not looked at since. */
  get leased(): number {
    return this.#leases.size;
  }

  /**
   * Registers a pattern for a gateway, unless a later registration of it is known. It may be repeated.
   *
   * @returns the time from which on everything that is published reaches the gateway, Unix milliseconds;
   * at the latest when all leases have run out that were live at the call
   */
  async subscribe(row: PatternRow): Promise<number> {
    const { pattern, gateway } = row;
    const known = this.#patterns.get(pattern)?.get(gateway);
    const { version, presence } =
      known !== undefined && known.version > row.version ? known : this.#register(row, known);
    this.#endLeases();
    // A lease that is granted from now on knows the pattern; those that were granted before count.
    const tellings = [...this.#leases]
      .filter(([channel]) => matches(pattern, channel))
      .map(([channel, leasedAt]) => ({ channel, until: leasedAt + this.#span }));
    await push(tellings, {
      tell: (channel) => this.#host.tellInterest(channel, { gateway, version, presence }),
      now: () => this.#now(),
      timers: this.#host.platform.timers,
      trouble: this.#trouble,
    });
    return this.#now();
  }

  /** Acts only while the version is the current one. */
  unsubscribe(gateway: string, version: number, pattern: string): void {
    if (this.#patterns.get(pattern)?.get(gateway)?.version !== version) return;
    this.#drop(pattern, gateway);
  }

  /** A gateway is no more: nothing that it has registered is for anybody. */
  gatewayEnded(gateway: string): void {
    for (const [pattern, rows] of [...this.#patterns]) {
      if (rows.has(gateway)) this.#drop(pattern, gateway);
    }
  }

  /**
   * Grants a channel a lease.
   *
   * @param gone gateways that have said that they do not hear the channel
   * @returns those that hear the channel through their patterns, each once
   */
  lease(channel: string, gone: readonly PatternInterest[] = []): PatternInterest[] {
    for (const { gateway, version } of gone) this.#forget(channel, gateway, version);
    const leasedAt = this.#now();
    this.#endLeases();
    this.#leases.delete(channel);
    this.#leases.set(channel, leasedAt);
    this.#store.saveLease({ channel, leasedAt });
    this.#host.alarm.by(leasedAt + LEASES_KEPT_MS);
    const interests = new Map<string, PatternInterest>();
    for (const rows of this.#patterns.match(channel)) {
      for (const [gateway, row] of rows) {
        interests.set(gateway, mergeInterest(interests.get(gateway), row));
      }
    }
    return [...interests.values()];
  }

  /**
   * Channels of a pattern that may have been published to since a time, those of the latest publishes first.
   *
   * @param since Unix milliseconds, as `subscribe` has answered it
   */
  active(pattern: string, since: number, limit: number): ActiveChannels {
    // What was published at a time was published on a lease that was at most so old.
    const from = since - this.#span;
    const channels: string[] = [];
    for (const channel of this.#store.channels(pattern, from)) {
      if (channels.length >= limit) return { channels, gap: "limit" };
      channels.push(channel);
    }
    if (since < (this.#store.knownSince?.() ?? 0)) return { channels, gap: "unavailable" };
    return { channels, gap: from < this.#now() - LEASES_KEPT_MS ? "expired" : undefined };
  }

  /**
   * The alarm: forgets old leases, and asks for the next alarm where there are younger ones.
   *
   * @returns whether the object may forget everything
   */
  alarm(): boolean {
    const now = this.#now();
    this.#store.dropLeases(now - LEASES_KEPT_MS);
    const oldest = this.#store.span()?.first;
    if (oldest === undefined) return this.#patterns.size === 0;
    this.#host.alarm.by(Math.max(oldest + LEASES_KEPT_MS, now + FORGET_EVERY_MS));
    return false;
  }

  #register(row: PatternRow, known: PatternRow | undefined): PatternRow {
    if (known?.version !== row.version || known.presence !== row.presence) {
      this.#store.savePattern(row);
      this.#keep(row);
    }
    return row;
  }

  #keep(row: PatternRow): void {
    const { pattern, gateway } = row;
    made(this.#patterns, pattern, () => new Map()).set(gateway, row);
  }

  #drop(pattern: string, gateway: string): void {
    this.#store.dropPattern(pattern, gateway);
    const rows = this.#patterns.get(pattern);
    rows?.delete(gateway);
    if (rows?.size === 0) this.#patterns.delete(pattern);
    // Nothing that is kept asks for an alarm by itself, and an empty object need not stay.
    if (this.#patterns.size === 0) this.#host.alarm.by(this.#now() + LEASES_KEPT_MS);
  }

  /**
   * A gateway does not hear a channel. What it had registered for it by then is left over: a call that
   * came late, or one whose end was never heard. What it registered since has a later version.
   */
  #forget(channel: string, gateway: string, version: number): void {
    const left = this.#patterns
      .match(channel)
      .map((rows) => rows.get(gateway))
      .filter((row) => row !== undefined && row.version <= version);
    for (const row of left) if (row !== undefined) this.#drop(row.pattern, gateway);
  }

  /** Leases that are over need no memory. */
  #endLeases(): void {
    const over = this.#now() - this.#span;
    for (const [channel, leasedAt] of this.#leases) {
      if (leasedAt > over) return;
      this.#leases.delete(channel);
    }
  }

  /** How long a lease may be live as this index counts. */
  get #span(): number {
    return this.#host.terms.leaseMs + this.#host.terms.marginMs;
  }

  #now(): number {
    this.#last = Math.max(this.#last, this.#host.clock.now());
    return this.#last;
  }
}
