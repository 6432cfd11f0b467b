/** Subscribers of one channel on one gateway that have the same: their sockets are a number. */
import type { LogGap, Position } from "../../src/engine/ports/broker.ts";
import type { Entry } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";

export type Held =
  | { readonly epoch: string; readonly entries: readonly Entry[] }
  | { readonly gap: LogGap };

export interface Cohort {
  readonly channel: string;
  /** How many they are. */
  count: number;
  /**
   * `away`: without a gateway. `asking`: the gateway is not registered for them yet. `recovering`: what they have missed is being
   * read. `live`: they are given what comes.
   */
  state: "away" | "asking" | "recovering" | "live";
  /** The last message that they have; undefined before they have subscribed. */
  place: Position | undefined;
  /** What has come and has to wait. */
  held: Held[];
}

export function cohortOf(channel: string, count: number): Cohort {
  return { channel, count, state: "away", place: undefined, held: [] };
}
