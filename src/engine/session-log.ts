/** What a session's lines at level debug say of refusals and durations. */
import { MessagingError } from "../protocol/errors.ts";
import type { LogFields } from "./ports.ts";

/**
 * Code and text of a refusal. The text is a backend's, which may quote the token that it has refused;
 * of a failure that is no refusal the text reaches the log as a warning of its own.
 */
export function reasonOf(error: unknown, token: string): LogFields {
  const { code, message } = MessagingError.from(error);
  return { code, reason: token === "" ? message : message.replaceAll(token, "[redacted]") };
}

/** How long a connection was there, in seconds; nothing where its beginning is not known. */
export function durationSince(since: number | undefined, now: number): LogFields {
  return since === undefined ? {} : { seconds: Math.max(0, now - since) / 1_000 };
}
