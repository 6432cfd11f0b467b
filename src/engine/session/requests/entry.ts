/** Clients that may not go on although their token was good: because it is revoked, or the user has enough connections. */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type { InboundMessage } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { debug } from "../log.ts";
import type { Entrance } from "../ports.ts";
import type { RequestContext } from "./context.ts";

/** Closes the session of a client that may not go on, and says why. Returns whether it does. */
export function turnedAway(
  { node, session, client, replies }: RequestContext,
  message: InboundMessage,
  entry: Entrance,
): boolean {
  if (entry === "entered") return false;
  const { sessionId, userId, clientId } = client;
  debug(node, sessionId, "turned away", { user: userId, client: clientId, reason: entry });
  if (entry === "full") {
    session.close(DISCONNECTS.connectionLimit);
    return true;
  }
  // In the words that any token is refused in.
  const refusal = new MessagingError("AUTH_ERROR", "authentication failed");
  replies.refuse(message, refusal, "server");
  session.close(DISCONNECTS.invalidToken);
  return true;
}
