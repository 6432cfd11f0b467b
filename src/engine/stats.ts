/** The figures of a node, for its operator. */
import type { EncodingCounters } from "../protocol/publication-frames.ts";
import type { Node } from "./node.ts";
import type { RefusedMessages } from "./ports/cluster.ts";
import type { LifecycleStats } from "./ports/lifecycle.ts";

/** What a node holds now, and what it has done since it started. */
export type EngineStats = Readonly<ReturnType<typeof statsOf>>;

const NO_MESSAGES: RefusedMessages = { unsigned: 0, misdirected: 0, replayed: 0 };
const NO_EVENTS: LifecycleStats = {
  waiting: 0,
  delivered: 0,
  failures: 0,
  overflowed: 0,
  expired: 0,
};

/**
 * The figures of a node at this moment. It looks at every session, since only they know their open calls: that takes
 * longer the more sessions there are.
 */
export function statsOf(node: Node) {
  const { broker, counters, disconnects, encoding, hub, intake, sessions, surveys } = node;
  const { lifecycle } = node;
  let openCalls = 0;
  for (const session of sessions.values()) openCalls += session.openCalls;
  return {
    sessions: sessions.size,
    subscriptions: hub.subscriptions,
    channels: hub.size,
    patterns: hub.patternCount,
    /** Backend calls that wait for their answer. */
    openCalls,
    openSurveys: surveys.size,
    /** Frames of v1 clients, which wait for their turn instead of being refused: those under way and those held. */
    waitingBytes: intake.waiting,
    /** What those of them that are under way take in memory. */
    openBytes: intake.open,
    /** Messages written to sessions. */
    delivered: hub.delivered,
    /** Messages encoded, in JSON for v1, extended and compact clients, then in protobuf for each of them. */
    encoded: [...encoding.encoded] as Readonly<EncodingCounters["encoded"]>,
    /** Events decoded from the log's bytes; extended and compact protobuf need none. */
    decoded: encoding.decoded,
    /** Sessions closed by this node, by code. */
    disconnects: Object.fromEntries(disconnects) as Readonly<Record<number, number>>,
    /** Answers to surveys that were not waited for. */
    droppedAnswers: surveys.dropped,
    /** Messages of other nodes that were not obeyed. */
    refusedMessages: { ...(broker.cluster?.refused ?? NO_MESSAGES) },
    /** What became of lifecycle events. */
    lifecycle: { ...(lifecycle?.stats ?? NO_EVENTS) },
    ...counters.stats(),
  };
}
