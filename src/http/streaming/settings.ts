/** The settings of streams, `transport.stream`. Every host has them. */
import * as v from "valibot";
import { formatDuration } from "../../engine/settings/duration.ts";
import { durationsFrom, table } from "../../engine/settings/settings.ts";
import { STREAM_HEARTBEAT_MS, STREAM_LIFETIME_MS } from "../../protocol/limits.ts";

/** Checked settings, in milliseconds. */
export interface StreamSettings {
  /** How often a stream that has nothing else to say says that it is there. */
  readonly heartbeatIntervalMs: number;
  /** How long a stream lives before its client is asked to come back. */
  readonly lifetimeMs: number;
}

// Its timers are the runtime's, and more often than that no reader needs to hear of a stream.
const intervals = durationsFrom(10);

const streamTable = table({
  heartbeat_interval: v.optional(intervals, formatDuration(STREAM_HEARTBEAT_MS)),
  lifetime: v.optional(intervals, formatDuration(STREAM_LIFETIME_MS)),
});

/** `transport.stream` */
export const streamEntries = v.optional(streamTable, {});

export function streamSettings({
  heartbeat_interval,
  lifetime,
}: v.InferOutput<typeof streamTable>): StreamSettings {
  return { heartbeatIntervalMs: heartbeat_interval, lifetimeMs: lifetime };
}
