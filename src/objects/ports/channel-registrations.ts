/** What a gateway has registered with channels: one row per channel, the newest registration. */

export interface ChannelRegistrationRow {
  /** The newest registration that was sent. */
  readonly id: string;
  /** The channel may count members here that are none, or miss some. */
  readonly unsettled: boolean;
}

/** What this gateway has registered, kept so that a later life can take it back. */
export interface ChannelRegistrationTable {
  get(channel: string): ChannelRegistrationRow | undefined;
  set(channel: string, row: ChannelRegistrationRow): void;
  delete(channel: string): void;
  all(): Iterable<ChannelRegistrationRow & { readonly channel: string }>;
  /** Number of rows. */
  readonly size: number;
}
