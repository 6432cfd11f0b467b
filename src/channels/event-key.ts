/**
 * The key of an event in a channel's dedup window. CloudEvents says that source and id identify an
 * event; who published it is part of the key, so that nobody can hide another's event behind one of
 * their own.
 *
 * @param principal who published: an authenticated user, empty for everyone else; or, from the
 * server's side, whoever the program says it is
 */
export function eventKey(
  side: "user" | "server",
  principal: string,
  source: string,
  id: string,
): string {
  // A list as JSON is unambiguous whatever the names hold, and never equals a random id.
  return JSON.stringify([side, principal, source, id]);
}
