/** What gateways, channels and pattern indexes say of a gateway that hears channels through patterns. */

/** A gateway that hears a channel through its patterns. */
export interface PatternInterest {
  readonly gateway: string;
  /** Of the newest registration that stands for the channel. */
  readonly version: number;
  /** Whether it gets joins and leaves. */
  readonly presence: boolean;
}

/** One gateway that hears a channel by two of its patterns. */
export function mergeInterest(
  left: PatternInterest | undefined,
  { gateway, version, presence }: PatternInterest,
): PatternInterest {
  return {
    gateway,
    version: Math.max(version, left?.version ?? 0),
    presence: presence || left?.presence === true,
  };
}
