/** When something has to be done about the tokens of a session. */
import { TOKEN_NOTICE_MS } from "../../../protocol/limits.ts";
import type { Client } from "../client.ts";
import type { RequestContext } from "../requests/context.ts";

/** When a client's tokens have to be looked at next, Unix milliseconds; undefined where none expires. */
export function tokenDue(client: Client): number | undefined {
  const { expiryTold, identity, subscriptionEnds } = client;
  const { expiresAt } = identity;
  const tells = hearsAhead(client);
  const ahead = tells && !expiryTold ? TOKEN_NOTICE_MS : 0;
  const times = [
    expiresAt === undefined ? undefined : expiresAt - ahead,
    subscriptionEnds?.due(tells),
  ].filter((at) => at !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Has the host look in time at a token that is new. */
export function watchToken({ node, client }: RequestContext): void {
  const due = tokenDue(client);
  if (due !== undefined) node.lookBy(due);
}

/** Whether a client hears ahead that a token expires. */
export function hearsAhead(client: Client): boolean {
  return client.can("refresh") || client.can("control");
}
