/** The figures of a node, for its operator. */
import type { CounterStats } from "./counters.ts";
import type { Node } from "./node.ts";
import type { RefusedMessages } from "./ports/cluster.ts";
import type { LifecycleStats } from "./ports/lifecycle.ts";

/** What a node holds now, and what it has done since it started. */
export interface EngineStats extends CounterStats {
  readonly sessions: number;
  readonly subscriptions: number;
  readonly channels: number;
  readonly patterns: number;
  /** Backend calls that wait for their answer. */
  readonly openCalls: number;
  readonly openSurveys: number;
  /** Frames of v1 clients, which wait for their turn instead of being refused: those under way and those held. */
  readonly waitingBytes: number;
  /** What those of them that are under way take in memory. */
  readonly openBytes: number;
  /** Messages written to sessions. */
  readonly delivered: number;
  /** Messages encoded: v1 JSON, extended JSON, v1 protobuf, extended protobuf. */
  readonly encoded: readonly [number, number, number, number];
  /** Events decoded from the log's bytes; extended protobuf alone needs none. */
  readonly decoded: number;
  /** Sessions closed by this node, by code. */
  readonly disconnects: Readonly<Record<number, number>>;
  /** Answers to surveys that were not waited for. */
  readonly droppedAnswers: number;
  /** Messages of other nodes that were not obeyed. */
  readonly refusedMessages: RefusedMessages;
  /** What became of lifecycle events. */
  readonly lifecycle: LifecycleStats;
}

const NO_MESSAGES: RefusedMessages = { unsigned: 0, misdirected: 0, replayed: 0 };
const NO_EVENTS: LifecycleStats = {
  waiting: 0,
  delivered: 0,
  failures: 0,
  overflowed: 0,
  expired: 0,
};

export function statsOf(node: Node): EngineStats {
  const { broker, counters, disconnects, encoding, hub, intake, sessions, surveys } = node;
  const { lifecycle } = node;
  let openCalls = 0;
  for (const session of sessions.values()) openCalls += session.openCalls;
  return {
    sessions: sessions.size,
    subscriptions: hub.subscriptions,
    channels: hub.size,
    patterns: hub.patternCount,
    openCalls,
    openSurveys: surveys.size,
    waitingBytes: intake.waiting,
    openBytes: intake.open,
    delivered: hub.delivered,
    encoded: [...encoding.encoded],
    decoded: encoding.decoded,
    disconnects: Object.fromEntries(disconnects),
    droppedAnswers: surveys.dropped,
    refusedMessages: { ...(broker.cluster?.refused ?? NO_MESSAGES) },
    lifecycle: { ...(lifecycle?.stats ?? NO_EVENTS) },
    ...counters.stats(),
  };
}
