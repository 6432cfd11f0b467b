/** Words for the log. */

/** What was thrown, as text. Never throws itself, whatever it is handed. */
export function errorText(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an error that has no text";
  }
}
