/** What a gateway has registered with the objects of users: one row per user with sessions here. */

export interface UserRegistrationRow {
  /** The object may know sessions that are none, or miss some. */
  readonly unsettled: boolean;
}

/** What this gateway has registered, kept so that a later life can take it back. */
export interface UserRegistrationTable {
  get(user: string): UserRegistrationRow | undefined;
  set(user: string, row: UserRegistrationRow): void;
  delete(user: string): void;
  all(): Iterable<UserRegistrationRow & { readonly user: string }>;
  /** Number of rows. */
  readonly size: number;
}
