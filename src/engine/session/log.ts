/** What a session's lines at level debug say of refusals and durations. */
import { MessagingError } from "../../protocol/errors.ts";
import type { InboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_CHANNEL_BYTES } from "../../protocol/limits.ts";
import type { LogFields } from "../ports/platform.ts";

/** Characters of a text that reach a line: it may name what a client has sent. */
const MAX_SHOWN = 200;

/**
 * Code and text of a refusal. The text is a backend's, which may quote the token that it has refused;
 * of a failure that is no refusal the text reaches the log as a warning of its own.
 */
export function reasonOf(error: unknown, token: string): LogFields {
  const { code, message } = MessagingError.from(error);
  return { code, reason: shown(token === "" ? message : message.replaceAll(token, "[redacted]")) };
}

/** Kinds of requests to which a backend may have spoken, whose words are the client's alone. */
const OF_BACKENDS: ReadonlySet<string | undefined> = new Set([
  "connect",
  "subscribe",
  "rpcRequest",
]);

/** Which request was refused, and why where the reason is our own. */
export function refusalOf(
  message: InboundMessage,
  { code, message: text }: MessagingError,
): LogFields {
  const kind = message.envelope.case;
  const channel = message.channel.slice(0, MAX_CHANNEL_BYTES);
  return { kind, channel, code, ...(OF_BACKENDS.has(kind) ? {} : { reason: shown(text) }) };
}

function shown(text: string): string {
  return text.slice(0, MAX_SHOWN);
}

/** How long a connection was there, in seconds; nothing where its beginning is not known. */
export function durationSince(since: number | undefined, now: number): LogFields {
  return since === undefined ? {} : { seconds: Math.max(0, now - since) / 1_000 };
}
