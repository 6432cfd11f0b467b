/** What the server API says of the deployment itself, and of the sessions of a user. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HistogramStats } from "../../engine/counters.ts";
import type { EngineStats } from "../../engine/stats.ts";
import { uint64Of } from "../../engine/subscription/positions.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import type {
  NodeStatusSchema,
  SessionsRequest,
  SessionsResponseSchema,
  StatusResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { RIGHTS } from "../keys/key.ts";
import type { ApiCall } from "./context.ts";
import { OPENAPI } from "./gen/openapi.ts";

/** What a host says of itself. */
export interface StatusHost {
  /** The kind of host, as its capabilities have it. */
  readonly name: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** The node that answers; left out where nodes sleep. */
  readonly node?: () => NodeState | Promise<NodeState>;
}

/** A node at one moment. */
export interface NodeState {
  /** What the ids of its sessions begin with. */
  readonly name: string;
  readonly stats: EngineStats;
  readonly facts: NodeFacts;
}

/** What a host knows of a node beside its engine. */
export interface NodeFacts {
  readonly uptimeSeconds: number;
  /** Connections of clients, those that are being closed included. */
  readonly connections: number;
  /** Memory that the process has of the machine. */
  readonly memoryBytes: number;
  /** How late timers came. */
  readonly lag: HistogramStats;
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

function nodeStatus({ name, stats, facts }: NodeState): MessageInitShape<typeof NodeStatusSchema> {
  const { uptimeSeconds, connections, memoryBytes, lag } = facts;
  return {
    name,
    uptimeMs: uint64Of(uptimeSeconds * 1_000),
    connections,
    sessions: stats.sessions,
    subscriptions: stats.subscriptions,
    channels: stats.channels,
    patterns: stats.patterns,
    memoryBytes: uint64Of(memoryBytes),
    lagUs: uint64Of(lag.sum * 1_000_000),
    lagSamples: uint64Of(lag.count),
    publications: uint64Of(stats.published),
    deliveries: uint64Of(stats.delivered),
    receivedBytes: uint64Of(stats.bytesIn),
    sentBytes: uint64Of(stats.bytesOut),
    gaps: Object.fromEntries(
      Object.entries(stats.gaps).map(([reason, count]) => [reason, uint64Of(count)]),
    ),
    slowConsumers: uint64Of(stats.disconnects[DISCONNECTS.slowConsumer.code] ?? 0),
    internalErrors: uint64Of(stats.internalErrors),
  };
}
