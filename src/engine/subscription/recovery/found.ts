/** What was read of a log for a session that comes back, and how much of it a request may have. */
import type { Entry } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_JOINED_BYTES, MAX_JOINED_MESSAGES } from "../../../protocol/limits.ts";
import type { LogGap } from "../../ports/broker.ts";
import type { Settings } from "../../settings/settings.ts";

/** What one request may replay, used up by its subscriptions one after the other. */
export interface ReplayBudget {
  messages: number;
  bytes: number;
}

/** All that one request may replay. */
export function budgetOf({
  recoveryMessages: messages,
  recoveryBytes: bytes,
}: Pick<Settings, "recoveryMessages" | "recoveryBytes">): ReplayBudget {
  return { messages, bytes };
}

export interface RecoveryResult {
  /** Dense and ascending, the last at the position that was read up to. */
  readonly entries: readonly Entry[];
  readonly gap: LogGap | undefined;
}

/** Entries as they are replayed: so many at a time that none of them holds up others for long. */
export function* portions(entries: readonly Entry[]): Iterable<readonly Entry[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, { body }] of entries.entries()) {
    const size = body?.event.length ?? 0;
    const full = index - start === MAX_JOINED_MESSAGES || bytes + size > MAX_JOINED_BYTES;
    if (full && index > start) {
      yield entries.slice(start, index);
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < entries.length) yield entries.slice(start);
}
