/** What the server API does to tokens: they are good for nothing any more. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { MessagingError } from "../../protocol/errors.ts";
import type {
  RevokeRequest,
  RevokeResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_DESTINATIONS } from "../../protocol/limits.ts";
import { type ApiCall, checkMost, settled } from "./context.ts";

/**
 * Revoke: the tokens of users, and single tokens, are good for nothing any more, and their sessions end.
 *
 * @returns the errors of those that could not be revoked, by user and by token, and whether the rest outlives the process
 * @throws MessagingError BAD_REQUEST for nothing, too much, or a token that is named twice; ACL_ERROR by the key
 */
export async function revoke(
  { engine, principal }: ApiCall,
  { users, tokens, until }: RevokeRequest,
): Promise<MessageInitShape<typeof RevokeResponseSchema>> {
  principal.checkEverywhere("manage");
  const count = users.length + tokens.length;
  if (count === 0) throw new MessagingError("BAD_REQUEST", "there is neither a user nor a token");
  checkMost(count, MAX_DESTINATIONS, "users and tokens");
  const end = until === 0n ? {} : { until: Number(until) };
  const owners = new Map(tokens.map(({ id, user }) => [id, user]));
  if (owners.size < tokens.length) {
    throw new MessagingError("BAD_REQUEST", "a token is named twice");
  }
  const [byUser, byToken] = await Promise.all([
    settled(users, (user) => engine.revoke(user, end)),
    settled([...owners.keys()], (id) =>
      engine.revoke(owners.get(id) ?? "", { ...end, tokenId: id }),
    ),
  ]);
  const done = [...Object.values(byUser.results), ...Object.values(byToken.results)];
  return {
    userErrors: byUser.errors,
    tokenErrors: byToken.errors,
    durable: done.length > 0 && done.every(({ durable }) => durable),
  };
}
