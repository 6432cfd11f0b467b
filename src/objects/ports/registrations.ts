/** What a gateway has registered with other objects: one row for each object, of the newest registration. */

/** What this gateway has registered with objects of one kind, kept so that a later life can take it back. */
export interface RegistrationTable<Row> {
  /** @param name of the channel, the pattern or the user */
  get(name: string): Row | undefined;
  set(name: string, row: Row): void;
  delete(name: string): void;
  all(): Iterable<readonly [name: string, row: Row]>;
  /** Number of rows. */
  readonly size: number;
}

export type ChannelRegistrationRow = {
  /** The newest registration that was sent. */
  readonly id: string;
  /** The channel may count members here that are none, or miss some. */
  readonly unsettled: boolean;
};

export type PatternRegistrationRow = {
  /** Of the newest registration that was sent. */
  readonly version: number;
  /** Whether it asked for joins and leaves. */
  readonly presence: boolean;
  /** It failed, so that it is unknown what the index has. */
  readonly unsettled: boolean;
};

export interface PatternRegistrationTable extends RegistrationTable<PatternRegistrationRow> {
  /** Rises over all patterns and lives. */
  nextVersion(): number;
}

export type UserRegistrationRow = {
  /** The user's object may know sessions that are none, or miss some. */
  readonly unsettled: boolean;
};
