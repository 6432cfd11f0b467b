/** What a close code says to a client. Apart from the table for people, because every page that loads the SDK loads this. */

/** Codes of which the table says otherwise than their range. */
const EXCEPTIONS: readonly number[] = [1009, 3502, 3504, 3510, 3511, 3512, 3513];

/** Whether a client that meets a close code should come back by itself. */
export function reconnects(code: number): boolean {
  // Of the codes that belong to applications the lower half says come back, the upper half stay away.
  const byRange = code < 3500 || (code >= 4000 && code < 4500);
  return EXCEPTIONS.includes(code) ? !byRange : byRange;
}
