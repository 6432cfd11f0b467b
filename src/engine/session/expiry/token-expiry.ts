/**
 * The end of tokens: the client hears of it ahead where it can take that. When its connection's token has expired the session
 * is closed, and with a subscription's own token the subscription ends. No session has a timer for it: the host looks
 * when the engine has asked it to.
 */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { TOKEN_NOTICE_MS } from "../../../protocol/limits.ts";
import { background } from "../../background.ts";
import { uint64Of } from "../../subscription/positions.ts";
import type { RequestContext } from "../requests/context.ts";
import { removal } from "../requests/subscriptions.ts";
import { hearsAhead, tokenDue } from "./token-due.ts";

/** Does what is due about tokens: warns the client, ends subscriptions, or closes the session. */
export function expireToken(context: RequestContext): void {
  const { node, session, client, replies } = context;
  const now = node.clock.now();
  if (now < (tokenDue(client) ?? Number.POSITIVE_INFINITY)) return;
  const { expiresAt = Number.POSITIVE_INFINITY } = client.identity;
  if (now >= expiresAt) {
    session.close(client.extended ? DISCONNECTS.tokenExpired : DISCONNECTS.invalidToken);
    return;
  }
  endSubscriptions(context, now);
  if (session.ended || !hearsAhead(client)) return;
  const notices = client.subscriptionEnds?.takeNotices(now) ?? [];
  const own = !client.expiryTold && now >= expiresAt - TOKEN_NOTICE_MS;
  client.expiryTold ||= own;
  // A session that wakes later must not report it again.
  session.save();
  if (own) replies.tell({ case: "tokenExpiring", value: { expiresAt: uint64Of(expiresAt) } });
  for (const [at, channels] of notices) {
    const value = { expiresAt: uint64Of(at), channels: [...channels] };
    replies.tell({ case: "tokenExpiring", value });
  }
}

/** Ends the subscriptions whose own tokens have expired. */
function endSubscriptions(context: RequestContext, now: number): void {
  const { node, session, client, channels, order } = context;
  const ends = client.subscriptionEnds;
  const over = ends?.takeOver(now) ?? [];
  const had = new Set(channels.names);
  const names = over.filter((name) => had.has(name));
  if (names.length === 0) return;
  // A v1 client cannot learn that it hears nothing more.
  if (!client.extended) {
    session.close(DISCONNECTS.invalidToken);
    return;
  }
  const ended = order.run(names, "exclusive", async () => {
    // A new token may have come before.
    await removal(
      context,
      names.filter((name) => ends?.has(name) === false),
    )();
  });
  background(ended, node.logger, "ending subscriptions whose tokens have expired");
}
