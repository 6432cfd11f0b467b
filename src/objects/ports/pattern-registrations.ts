/** What a gateway has registered with pattern indexes: one row per pattern, the newest registration. */

export interface PatternRegistrationRow {
  /** Of the newest registration that was sent. */
  readonly version: number;
  /** Whether it asked for joins and leaves. */
  readonly presence: boolean;
  /** It failed, so that it is unknown what the index has. */
  readonly unsettled: boolean;
}

/** What this gateway has registered, kept so that a later life can take it back. */
export interface PatternRegistrationTable {
  /** Rises over all patterns and lives. */
  nextVersion(): number;
  get(pattern: string): PatternRegistrationRow | undefined;
  set(pattern: string, row: PatternRegistrationRow): void;
  delete(pattern: string): void;
  all(): Iterable<PatternRegistrationRow & { readonly pattern: string }>;
  /** Number of rows. */
  readonly size: number;
}
