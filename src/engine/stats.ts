/** The figures of a node, for its operator. */
import type { CounterStats } from "./counters.ts";
import type { RefusedMessages } from "./ports/cluster.ts";

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
  /** Answers to surveys that nobody waited for. */
  readonly droppedAnswers: number;
  /** Messages of other nodes that were not obeyed. */
  readonly refusedMessages: RefusedMessages;
}
