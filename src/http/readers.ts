/** Who may read a channel over HTTP: the bearer of an API key, or of a ticket. */
import type { Authorizer } from "../engine/ports/access.ts";
import { MessagingError } from "../protocol/errors.ts";
import type { KeyPeer, Keys } from "./keys/keys.ts";
import type { Tickets } from "./tickets/tickets.ts";

export interface ReaderTerms {
  readonly keys: Keys;
  readonly tickets: Tickets;
  /** Asked about bearers of tickets. A key is the application's own, and no rule is for it. */
  readonly authorizer: Authorizer;
}

/** A client that may subscribe. */
export interface Reader {
  /** Empty for an anonymous one. */
  readonly userId: string;
  /** When its ticket was made, Unix milliseconds; undefined where it has shown a key. */
  readonly issuedAt: number | undefined;
  /** Whether it may read what came before. */
  readonly readsHistory: boolean;
}

/**
 * Finds the reader of a request, by the header Authorization or by `ticket` in the query.
 *
 * @param name a channel or a pattern
 * @returns undefined where its ticket has expired
 * @throws MessagingError AUTH_ERROR without a key or a ticket that is valid, ACL_ERROR with one that is for other channels
 */
export async function readerOf(
  request: Request,
  name: string,
  peer: KeyPeer,
  { keys, tickets, authorizer }: ReaderTerms,
): Promise<Reader | undefined> {
  const ticket = new URL(request.url).searchParams.get("ticket");
  if (ticket === null) {
    const principal = await keys.authorize(request.headers.get("Authorization"), peer);
    principal.check("read", name);
    return { userId: `key:${principal.id}`, issuedAt: undefined, readsHistory: true };
  }
  const read = await tickets.read(ticket);
  if (!read.isFor(name)) throw new MessagingError("ACL_ERROR", "the ticket is for other channels");
  if (read.expired) return undefined;
  const subject = {
    userId: read.user,
    clientId: "",
    clientVouched: false,
    grants: read.grants,
  };
  const refusal = authorizer.refusal(subject, "subscribe", name);
  if (refusal !== undefined) throw refusal;
  const readsHistory = authorizer.refusal(subject, "history", name) === undefined;
  return { userId: read.user, issuedAt: read.issuedAt, readsHistory };
}
