/** What a host that sleeps keeps of a session: its record, and the marks that change with the traffic. */
import { create } from "@bufbuild/protobuf";
import {
  type SessionMarks,
  SessionMarksSchema,
  type SessionRecord,
  SessionRecordSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Subscriber } from "../subscription/hub.ts";
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
): SessionRecord {
  const { sessionId, encoding, extended, clientId, clientType, userId, capabilities } = client;
  return create(SessionRecordSchema, {
    sessionId,
    encoding,
    connected,
    extended,
    clientId,
    clientType,
    userId,
    capabilities: [...capabilities],
    maxFrameBytes,
    subscriptions: channels.records(),
  });
}

/** @param seen when the client was last heard, by the steady clock in milliseconds */
export function marksOf(
  session: RecordedSession,
  { hub, broker }: ChannelsHost,
  channels: SessionChannels,
  flow: FlowControl,
  seen: number,
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
