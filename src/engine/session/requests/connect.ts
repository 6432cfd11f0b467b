/** The steps of connect that are not the session's own: who the client is, and what it is told. */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type {
  Connect,
  Connected,
  InboundMessage,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_CLIENT_NAME_BYTES } from "../../../protocol/limits.ts";
import { utf8Length } from "../../../protocol/utf8.ts";
import { uint64Of } from "../../subscription/positions.ts";
import type { JoinOutcome } from "../../subscription/session-channels.ts";
import { answeredUser } from "../backend-answers.ts";
import type { CallTerms } from "../backend-calls.ts";
import { debug, reasonOf } from "../log.ts";
import type { RequestContext } from "./context.ts";
import { acknowledged } from "./subscriptions.ts";

const AUTHENTICATE: Omit<CallTerms<string>, "timeoutMs"> = {
  backend: "authenticate",
  check: answeredUser,
  // An authenticator that does not say who it is has not authenticated anyone.
  invalid: ["AUTH_ERROR", "authentication failed"],
  timeout: ["UNAVAILABLE", "authentication took too long"],
  failure: ["UNAVAILABLE", "authentication failed"],
};

/** Undefined where nothing is wrong with a client's names for itself: they stand in all it publishes. */
export function refusalOfNames({ clientId, clientType }: Connect): MessagingError | undefined {
  for (const [name, value] of Object.entries({ client_id: clientId, client_type: clientType })) {
    if (utf8Length(value) > MAX_CLIENT_NAME_BYTES) {
      const text = `${name} is longer than ${MAX_CLIENT_NAME_BYTES} bytes`;
      return new MessagingError("BAD_REQUEST", text);
    }
  }
  return undefined;
}

/**
 * Learns who this is. A refusal is told to the client and closes with 3500.
 *
 * @param address where the client connects from; empty where it is unknown
 * @returns whether the session goes on
 */
export async function authenticate(
  context: RequestContext,
  message: InboundMessage,
  { token, clientId, clientType, version }: Connect,
  address: string,
): Promise<boolean> {
  const { node, session, client, replies } = context;
  const { backends, settings } = node;
  if (backends.authenticate === undefined) return true;
  const { sessionId } = client;
  const request = { token, clientId, clientType, version, sessionId, address };
  try {
    client.userId = await context.backend.run(
      { ...AUTHENTICATE, timeoutMs: settings.authTimeoutMs },
      async (cancellation) => await backends.authenticate?.(request, cancellation),
    );
    return true;
  } catch (error) {
    const reason = reasonOf(error, token);
    debug(node, sessionId, "authentication failed", { client: clientId, address, ...reason });
    // A backend that is down has refused nobody: who can tell the difference may come back.
    const down = MessagingError.from(error).retry;
    if (down && client.extended) {
      replies.refuse(message, error, "backend");
      session.close(DISCONNECTS.internal);
    } else {
      const refusal = down ? new MessagingError("AUTH_ERROR", "authentication failed") : error;
      replies.refuse(message, refusal, "backend");
      session.close(DISCONNECTS.invalidToken);
    }
    return false;
  }
}

/** Tells a client that it is connected, and which channels it has. */
export function welcome(
  context: RequestContext,
  message: InboundMessage,
  outcome: JoinOutcome,
  address: string,
): void {
  const { node, client, replies } = context;
  const { sessionId, userId, clientId, clientType, encoding, extended } = client;
  const subscriptions = acknowledged(context, outcome);
  replies.reply(message, {
    case: "connected",
    value: { sessionId, subscriptions, ...granted(context) },
  });
  debug(node, sessionId, "connected", {
    user: userId,
    client: clientId,
    clientType,
    address,
    encoding,
    extended,
  });
  if (outcome.errors.some((error) => error.counts)) replies.countError();
}

type Granted = Pick<
  Connected,
  "capabilities" | "userId" | "maxMessageBytes" | "pingIntervalMs" | "creditBytes"
>;

/** What only an extended client is told in `connected`. */
function granted({ node, client }: RequestContext): Partial<Granted> {
  if (!client.extended) return {};
  const { maxMessageBytes, pingIntervalMs, creditBytes } = node.settings;
  return {
    capabilities: [...client.capabilities],
    userId: client.userId,
    maxMessageBytes,
    pingIntervalMs,
    creditBytes: client.can("credit") ? uint64Of(creditBytes) : 0n,
  };
}
