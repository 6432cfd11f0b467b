/** What rules and grants say of a client's request, before any backend is asked. */
import type { MessagingError } from "../../../protocol/errors.ts";
import type { Action } from "../../ports/access.ts";
import type { Client } from "../client.ts";
import type { SessionHost } from "../ports.ts";

/** What is needed to decide: the node, and the client that asks. */
export interface AccessParts {
  readonly node: Pick<SessionHost, "authorizer">;
  readonly client: Client;
}

/**
 * Why a client may not do something; undefined where it may. Whom the host has let in by itself it has asked
 * the rules about at its door.
 *
 * @param channel a channel, or a pattern: then all of its channels are meant
 */
export function accessRefusal(
  { node, client }: AccessParts,
  action: Action,
  channel: string,
): MessagingError | undefined {
  if (client.admitted) return undefined;
  return node.authorizer.refusal(client.subject, action, channel);
}

/** Whether rules and grants allow a client an action in a channel. No backend is asked. */
export function mayDo(parts: AccessParts, action: Action, channel: string): boolean {
  return accessRefusal(parts, action, channel) === undefined;
}

/** @throws MessagingError ACL_ERROR where rules or grants refuse it */
export function mustBeAllowed(parts: AccessParts, action: Action, channel: string): void {
  const refusal = accessRefusal(parts, action, channel);
  if (refusal !== undefined) throw refusal;
}

/**
 * Why a client may not have what its token has given to it by name, which only a rule can take away; undefined where
 * it may.
 */
export function givenRefusal(
  { node, client }: AccessParts,
  action: Action,
  channel: string,
): MessagingError | undefined {
  if (client.admitted) return undefined;
  const grants = [{ pattern: channel, actions: [action] }];
  return node.authorizer.refusal({ ...client.subject, grants }, action, channel);
}

/** @throws MessagingError ACL_ERROR where a rule denies what its token has given to a client */
export function mustNotBeDenied(parts: AccessParts, action: Action, channel: string): void {
  const refusal = givenRefusal(parts, action, channel);
  if (refusal !== undefined) throw refusal;
}
