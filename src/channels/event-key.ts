/**
 * The key of an event in a channel's dedup window. CloudEvents says that source and id identify an
 * event; its publisher is part of the key, so that no publisher can hide another's event by an event
 * of its own.
 *
 * @param principal the publisher: an authenticated user, empty for all other clients; or, on the
 * server's side, a name that the program gives
 */
export function eventKey(
  side: "user" | "server",
  principal: string,
  source: string,
  id: string,
): string {
  // A list as JSON is unambiguous for all names, and never equals a random id.
  return JSON.stringify([side, principal, source, id]);
}
