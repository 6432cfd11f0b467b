/** What a host that sleeps keeps of a session: its record, and the marks that change with the traffic. */
import { create } from "@bufbuild/protobuf";
import {
  type GrantRecord,
  type IdentityRecord,
  IdentityRecordSchema,
  type SessionMarks,
  SessionMarksSchema,
  type SessionRecord,
  SessionRecordSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { ACTIONS, type Grant } from "../ports/access.ts";
import { type Identity, NOBODY } from "../ports/identity.ts";
import type { Subscriber } from "../subscription/listener.ts";
import type { ChannelsHost } from "../subscription/ports.ts";
import { countOf, uint64Of } from "../subscription/positions.ts";
import type { SessionChannels } from "../subscription/session-channels.ts";
import type { Client } from "./client.ts";
import type { FlowControl, FlowMarks } from "./flow-control.ts";

/** The session, as its record sees it. */
export interface RecordedSession extends Subscriber {
  readonly connected: boolean;
}

/** The record, without the marks. */
export function recordOf(
  { connected, maxFrameBytes }: RecordedSession,
  client: Client,
  channels: SessionChannels,
  streamSecret = "",
): SessionRecord {
  const { sessionId, encoding, extended, clientId, clientType, capabilities } = client;
  const { admitted, identity } = client;
  const beside = identityRecord(identity);
  return create(SessionRecordSchema, {
    sessionId,
    encoding,
    connected,
    extended,
    clientId,
    clientType,
    userId: identity.userId,
    capabilities: [...capabilities],
    maxFrameBytes,
    subscriptions: channels.records(),
    streamSecret,
    admitted,
    expiryTold: client.expiryTold,
    subscriptionEnds: client.subscriptionEnds?.records() ?? [],
    ...(beside === undefined ? {} : { identity: beside }),
  });
}

/** What a record says of the client's identity. Its channels have become subscriptions. */
export function identityOf({ userId, identity }: SessionRecord): Identity {
  if (identity === undefined) return userId === "" ? NOBODY : { userId };
  const { tokenId, issuedAt, expiresAt, clientVouched, granted, grants } = identity;
  return {
    userId,
    ...(tokenId === "" ? {} : { tokenId }),
    ...(issuedAt === 0n ? {} : { issuedAt: countOf(issuedAt) }),
    ...(expiresAt === 0n ? {} : { expiresAt: countOf(expiresAt) }),
    ...(clientVouched ? { clientVouched } : {}),
    ...(granted ? { grants: grants.map(grantOf) } : {}),
  };
}

/** Undefined where nothing is known beside the user. */
function identityRecord({
  tokenId = "",
  issuedAt = 0,
  expiresAt = 0,
  clientVouched = false,
  grants,
}: Identity): IdentityRecord | undefined {
  const granted = grants !== undefined;
  const nothing = tokenId === "" && issuedAt === 0 && expiresAt === 0 && !clientVouched;
  if (nothing && !granted) return undefined;
  return create(IdentityRecordSchema, {
    tokenId,
    issuedAt: uint64Of(issuedAt),
    expiresAt: uint64Of(expiresAt),
    clientVouched,
    granted,
    grants: (grants ?? []).map(({ pattern, actions }) => ({ pattern, actions: [...actions] })),
  });
}

/** An action that this version does not know is one that it cannot let anybody do. */
function grantOf({ pattern, actions }: GrantRecord): Grant {
  return { pattern, actions: ACTIONS.filter((action) => actions.includes(action)) };
}

/** What changes with what comes in. */
export interface InboundMarks {
  /** When the client was last heard, by the steady clock in milliseconds. */
  readonly seen: number;
  /** The last number of what it has sent by calls of their own of which all messages have been taken. */
  readonly taken: number | undefined;
}

export function marksOf(
  session: RecordedSession,
  { hub, broker }: ChannelsHost,
  channels: SessionChannels,
  flow: FlowControl,
  { seen, taken }: InboundMarks,
): SessionMarks {
  const { sent, received, bytesSinceHeard, heardAt } = flow.marks;
  const { snapshot } = broker;
  // Of each channel one session remembers how far the node is: the one that is there longest.
  const byPattern = channels.leadsPattern ? broker.recentChannels?.() : undefined;
  const heard = [...channels.channels, ...(byPattern ?? [])];
  const carried = snapshot && heard.filter((name) => hub.first(name) === session);
  return create(SessionMarksSchema, {
    seenChannels: (carried ?? []).flatMap((name) => snapshot?.call(broker, name) ?? []),
    seen: uint64Of(seen),
    takenSeq: uint64Of(taken ?? 0),
    sent: uint64Of(sent),
    received: uint64Of(received),
    unheard: uint64Of(bytesSinceHeard),
    heardAt: uint64Of(heardAt),
  });
}

/** The part of the marks that says how much was sent and not taken in. */
export function flowMarksOf({ sent, received, unheard, heardAt }: SessionMarks): FlowMarks {
  return {
    sent: countOf(sent),
    received: countOf(received),
    bytesSinceHeard: countOf(unheard),
    heardAt: countOf(heardAt),
  };
}
