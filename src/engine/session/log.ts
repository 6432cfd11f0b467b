/** What sessions write to the log: single connections at level debug, and unforeseen failures. */
import { MessagingError } from "../../protocol/errors.ts";
import type { InboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_CHANNEL_BYTES } from "../../protocol/limits.ts";
import type { Counters } from "../counters.ts";
import { errorText } from "../error-text.ts";
import type { LogFields, Logger } from "../ports/platform.ts";

/** Characters of a text that reach a line: it may name what a client has sent. */
const MAX_SHOWN = 200;

/** The part of a node that is used. */
export interface LogHost {
  readonly logger: Logger;
  readonly counters: Counters;
}

/** For operators that look at single connections; never a payload or a token. */
export function debug(
  { logger }: LogHost,
  session: string,
  message: string,
  fields: LogFields,
): void {
  logger.debug?.(message, { session, ...fields });
}

/**
 * What nobody foresaw goes to the log, and is counted.
 *
 * @param what names what was being done
 */
export function noteFailure(
  { counters, logger }: LogHost,
  session: string,
  what: string,
  error: unknown,
): void {
  counters.internalErrors += 1;
  logger.warn("session failed", { what, session, error: errorText(error) });
}

/**
 * Code and text of a refusal. The text is a backend's, which may quote the token that it has refused;
 * of a failure that is no refusal the text reaches the log as a warning of its own.
 */
export function reasonOf(error: unknown, token: string): LogFields {
  const { code, message } = MessagingError.from(error);
  return { code, reason: shown(token === "" ? message : message.replaceAll(token, "[redacted]")) };
}

/** Whose words a refusal may be: a backend's are for the client alone, and for no log. */
export type Speaker = "server" | "backend";

/** Which request was refused, and why where the reason is our own. */
export function refusalOf(
  message: InboundMessage,
  { code, message: text }: MessagingError,
  speaker: Speaker,
): LogFields {
  const kind = message.envelope.case;
  const channel = message.channel.slice(0, MAX_CHANNEL_BYTES);
  return { kind, channel, code, ...(speaker === "backend" ? {} : { reason: shown(text) }) };
}

function shown(text: string): string {
  return text.slice(0, MAX_SHOWN);
}

/** How long a connection was there, in seconds; nothing where its beginning is not known. */
export function durationSince(since: number | undefined, now: number): LogFields {
  return since === undefined ? {} : { seconds: Math.max(0, now - since) / 1_000 };
}
