/** Words for the log. */

/** What was thrown, as text. Never throws itself, for any value. */
export function errorText(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an error that has no text";
  }
}
