/**
 * The text of server-sent events, as clients really read it: the id is the last line of a block and on every
 * event, data is never empty, and a comment has no blank line after it, which some take for an event.
 */

/** A comment. It shows that the stream lives, and a stream without a reader fails to take it. */
export const HEARTBEAT = ":\n";

/** How soon a client comes back after a cut, in milliseconds: at least so soon, and spread over so long. */
const RETRY_MS = 1_000;
const CUT_SPREAD_MS = 3_000;
/** The same where many are sent away together. */
const SENT_AWAY_SPREAD_MS = 9_000;

export interface EventBlock {
  /** Left out for publications, which clients then hear of as `message`. */
  readonly event?: string;
  /** How long the client waits from now on before it comes back, in milliseconds. */
  readonly retry?: number;
  /** JSON on one line. */
  readonly data: string;
  /** Visible ASCII. */
  readonly id: string;
}

/**
 * The text of one event, with the blank line that ends it.
 *
 * @example
 * writeBlock({ data: "{}", id: "a-7" }); // "data: {}\nid: a-7\n\n"
 */
export function writeBlock({ event, retry, data, id }: EventBlock): string {
  const name = event === undefined ? "" : `event: ${event}\n`;
  const pause = retry === undefined ? "" : `retry: ${retry}\n`;
  return `${name}${pause}data: ${data}\nid: ${id}\n\n`;
}

/**
 * How long a client should wait after a cut that was not announced, in milliseconds, 1,000 to 4,000. No
 * client spreads this by itself.
 *
 * @param random in [0, 1)
 */
export function retryAfterCut(random: number): number {
  return RETRY_MS + Math.floor(random * CUT_SPREAD_MS);
}

/** The same where the server sends clients away, 1,000 to 10,000. */
export function retryWhenSentAway(random: number): number {
  return RETRY_MS + Math.floor(random * SENT_AWAY_SPREAD_MS);
}
