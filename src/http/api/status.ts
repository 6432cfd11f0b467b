/** What the server API says of the deployment itself, and of the sessions of a user. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { uint64Of } from "../../engine/subscription/positions.ts";
import type {
  SessionsRequest,
  SessionsResponseSchema,
  StatusResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { RIGHTS } from "../keys/key.ts";
import type { ApiCall } from "./context.ts";
import { OPENAPI } from "./gen/openapi.ts";
import { type NodeState, type NodesHost, nodeStatus } from "./nodes.ts";

/** What a host says of itself. */
export interface StatusHost extends NodesHost {
  /** The kind of host, as its capabilities have it. */
  readonly name: string;
  /** The node that answers; left out where nodes sleep. */
  readonly node?: () => NodeState | Promise<NodeState>;
}

const { version } = (OPENAPI as { readonly info: { readonly version: string } }).info;

/** Status: what the key may do, and how the node that answers is, where there is one and the key may read everything. */
export async function status(
  { principal }: ApiCall,
  { name, node, now }: StatusHost,
): Promise<MessageInitShape<typeof StatusResponseSchema>> {
  const { id, rights, patterns, expiresAt } = principal;
  return {
    key: {
      id,
      rights: RIGHTS.filter((right) => rights.has(right)),
      patterns: [...patterns],
      expires: uint64Of(expiresAt ?? 0),
    },
    host: name,
    version,
    nodes: node !== undefined && principal.may("read", "**") ? [nodeStatus(await node())] : [],
    asOf: uint64Of(now()),
  };
}

/**
 * Sessions: those of a user, the oldest first, each with its time of connection in Unix milliseconds.
 *
 * @throws MessagingError ACL_ERROR where the key may not read everywhere
 */
export async function sessions(
  { engine, principal }: ApiCall,
  { user }: SessionsRequest,
): Promise<MessageInitShape<typeof SessionsResponseSchema>> {
  principal.checkEverywhere("read");
  const found = await engine.sessionsOf(user);
  return {
    sessions: found
      .toSorted((one, other) => one.since - other.since)
      .map(({ sessionId, since }) => ({ sessionId, since: uint64Of(since) })),
  };
}
