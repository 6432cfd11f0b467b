/** A new token on a live connection: it takes the place of the old one where it names the same user. */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type { InboundMessage, Refresh } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { uint64Of } from "../../subscription/positions.ts";
import { watchToken } from "../expiry/token-due.ts";
import { debug, reasonOf } from "../log.ts";
import { busy, type RequestContext } from "./context.ts";
import { identify } from "./identify.ts";
import { leaveDisallowed } from "./subscriptions.ts";

/** A token that is refused, or that nobody can look at now, changes nothing: the old one holds until it expires. */
export async function refresh(
  context: RequestContext,
  message: InboundMessage,
  { token }: Refresh,
): Promise<void> {
  const { node, session, client, replies } = context;
  if (node.backends.authenticate === undefined) {
    throw new MessagingError("UNIMPLEMENTED", "this deployment authenticates nobody");
  }
  // Of two that are looked at beside each other nobody could say which is the later.
  if (context.refreshing) throw busy("another token is being looked at");
  context.refreshing = true;
  try {
    const identity = await identify(context, { token, version: "" });
    if (session.ended) return;
    if (identity.userId !== client.userId) {
      debug(node, client.sessionId, "refresh refused", { reason: "another user" });
      const other = new MessagingError("AUTH_ERROR", "the token names another user");
      replies.refuse(message, other, "server");
      session.close(DISCONNECTS.invalidToken);
      return;
    }
    const entry = await node.enter(identity, client.sessionId);
    if (session.ended) return;
    if (entry === "revoked") throw new MessagingError("AUTH_ERROR", "authentication failed");
    client.renew(identity);
    session.save();
    watchToken(context);
    const expiresAt = uint64Of(identity.expiresAt ?? 0);
    replies.reply(message, { case: "refreshAck", value: { expiresAt } });
    // The new token may grant less than the old one.
    leaveDisallowed(context);
  } catch (error) {
    debug(node, client.sessionId, "refresh refused", reasonOf(error, token));
    throw error;
  } finally {
    context.refreshing = false;
  }
}
