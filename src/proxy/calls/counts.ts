/** What a backend's calls have come to, for operators. */
import type { FailureReason } from "../../engine/ports/backends.ts";

/** How a call ended: with any answer that could be read as one, or why with none. */
export type CallOutcome = "answered" | FailureReason;

/**
 * Outcomes of calls themselves. What is wrong inside of an answer (`answer`, `field`) is found later, and counts as
 * answered here.
 */
export const CALL_OUTCOMES = [
  "answered",
  "timeout",
  "unreachable",
  "too_large",
  "redirect",
  "encoding",
  "status",
  "circuit_open",
  "busy",
  "cancelled",
] as const satisfies readonly CallOutcome[];

/**
 * Kinds of calls, each with places and a circuit of its own: RPCs, questions of authentication and
 * access, and events that are only reported.
 */
export type CallLane = "rpc" | "access" | "events";

/** Hooks that ask and change nothing, so that they may be asked again. */
const ASKING: ReadonlySet<string> = new Set(["authenticate", "subscribe_acl"]);

/** What a circuit breaker lets through: `closed` everything, `open` nothing, `half_open` the one call that finds out. */
export type CircuitState = "closed" | "open" | "half_open";

/** @param hook such as `subscribe_acl` */
export function laneOf(hook: string): CallLane {
  if (hook === "rpc") return "rpc";
  return ASKING.has(hook) ? "access" : "events";
}

export interface LaneStats {
  readonly outcomes: Readonly<Record<(typeof CALL_OUTCOMES)[number], number>>;
  /** Calls that were sent a second time. */
  readonly retries: number;
  /** Calls that wait now for one that is under way to end. */
  readonly waiting: number;
  readonly circuit: CircuitState;
}

export interface BackendStats {
  readonly name: string;
  /** Those that there were calls of. */
  readonly lanes: Readonly<Partial<Record<CallLane, LaneStats>>>;
}
