/** What a pattern index keeps: the patterns that gateways have registered, and the leases of channels. */

/** A pattern that a gateway has registered. */
export interface PatternRow {
  readonly pattern: string;
  readonly gateway: string;
  readonly version: number;
  /** Whether a session there wants to hear of joins and leaves. */
  readonly presence: boolean;
}

export interface LeaseRow {
  readonly channel: string;
  /** When the channel was last granted a lease, Unix milliseconds. */
  readonly leasedAt: number;
}

export interface PatternStore {
  patterns(): Iterable<PatternRow>;
  savePattern(row: PatternRow): void;
  dropPattern(pattern: string, gateway: string): void;
  saveLease(row: LeaseRow): void;
  /** Leases that were granted at a time or later, the oldest first. */
  leasesSince(time: number): Iterable<LeaseRow>;
  /** Channels of a pattern that were granted a lease at a time or later, the latest first. */
  channels(pattern: string, time: number): Iterable<string>;
  /** When the oldest lease was granted, and the newest; undefined where there is none. */
  span(): { readonly first: number; readonly last: number } | undefined;
  /**
   * Since when all that has happened is known, Unix milliseconds: leases, or whole channels, may have been lost before
   * it. A store that loses nothing leaves it out.
   */
  knownSince?(): number;
  /** Forgets leases that were granted before a time. */
  dropLeases(time: number): void;
}
