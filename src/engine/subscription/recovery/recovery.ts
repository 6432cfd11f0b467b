/**
 * What a subscriber missed: read from the log, and a verdict on what cannot be had. A position is
 * proof or it is nothing: wherever continuity cannot be shown, the answer is a gap.
 */
import type { Entry } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../../protocol/limits.ts";
import type {
  Broker,
  GapReason,
  Held,
  HistoryFilter,
  HistoryPage,
  Position,
} from "../../ports/broker.ts";
import type { Logger } from "../../ports/platform.ts";
import type { Turns } from "../../turns.ts";
import type { RecoveryResult, ReplayBudget } from "./found.ts";
import type { SharedReads } from "./shared-reads.ts";

/** Where the log is read, and what hears of it when that fails. */
export interface LogReader {
  readonly broker: Broker;
  readonly logger: Logger;
  /** Each page is a step of its own. */
  readonly turns: Turns;
  /** What other sessions have read. */
  readonly reads: SharedReads;
  /** What history holds of the log that is read; it is asked where that is not known. */
  readonly held?: Held | undefined;
  /** Whether nobody waits any more for what is read. */
  over(): boolean;
}

/** Where a client wants to go on. */
export interface RecoveryRequest {
  /** The last position that the client has; without an epoch it says nothing. */
  readonly since: Position | undefined;
  /** Without a `since`: the last so many messages; 0 when a position was meant. */
  readonly rewind: number;
}

/**
 * What a client missed up to a position of the log.
 *
 * @param recoverable whether the channel can be recovered at all
 */
export async function recover(
  reader: LogReader,
  channel: string,
  { since, rewind }: RecoveryRequest,
  until: Position,
  budget: ReplayBudget,
  recoverable: boolean,
): Promise<RecoveryResult> {
  if (!recoverable) return onlyGap("unavailable", since, until);
  if (since === undefined && rewind > 0) {
    const after = Math.max(0, until.offset - rewind);
    const found = await readRange(reader, channel, after, until, budget);
    const short = found.gap?.reason === "head_trimmed" || found.gap?.reason === "expired";
    // A client that asks for the last messages has missed none that are gone.
    return short ? { ...found, gap: undefined } : found;
  }
  if (since === undefined || since.epoch === "") return onlyGap("unavailable", undefined, until);
  if (since.epoch !== until.epoch) {
    const { entries } = await readRange(reader, channel, 0, until, budget);
    const first = entries[0] === undefined ? until.offset + 1 : Number(entries[0].offset);
    const end = { epoch: until.epoch, offset: first - 1 };
    return { entries, gap: { reason: "epoch_changed", after: since, until: end } };
  }
  if (since.offset > until.offset) return onlyGap("epoch_changed", since, until);
  return await readRange(reader, channel, since.offset, until, budget);
}

/** Nothing can be replayed: a gap says why, and what is missing. */
export function onlyGap(
  reason: GapReason,
  after: Position | undefined,
  until: Position,
): RecoveryResult {
  return { entries: [], gap: { reason, after, until } };
}

/**
 * The newest entries in (after, until] without a hole, as many as the budget allows. Read backwards,
 * so that what is replayed joins what comes live.
 *
 * @param from entries that came before this time, in Unix milliseconds, are not wanted
 */
export async function readRange(
  reader: LogReader,
  channel: string,
  after: number,
  until: Position,
  budget: ReplayBudget,
  from = 0,
): Promise<RecoveryResult> {
  const pages = () => readPages(reader, channel, after, until, budget, from);
  if (from > 0 || after >= until.offset) return await pages();
  const held = async (): Promise<Held | undefined> => {
    if (reader.held !== undefined) return reader.held;
    const page = await readPage(reader, channel, { limit: 0 });
    return page?.position.epoch === until.epoch ? page : undefined;
  };
  return await reader.reads.read({ channel, after, until }, budget, { pages, held });
}

async function readPages(
  reader: LogReader,
  channel: string,
  after: number,
  until: Position,
  budget: ReplayBudget,
  from: number,
): Promise<RecoveryResult> {
  const { epoch } = until;
  const found: Entry[] = [];
  let before = until.offset + 1;
  const gap = (reason: GapReason): RecoveryResult => ({
    entries: found.reverse(),
    gap: { reason, after: { epoch, offset: after }, until: { epoch, offset: before - 1 } },
  });
  while (before - 1 > after) {
    if (budget.messages <= 0 || budget.bytes <= 0) return gap("limit");
    const filter = {
      since: { epoch, offset: before },
      reverse: true,
      limit: Math.min(before - 1 - after, budget.messages, MAX_BATCH_ENTRIES),
      maxBytes: Math.min(budget.bytes, MAX_BATCH_BYTES),
    };
    const page = await readPage(reader, channel, filter);
    if (reader.over() || page?.position.epoch !== epoch) return gap("unavailable");
    const newest = page.entries[0];
    if (newest === undefined || Number(newest.offset) !== before - 1) {
      return gap(page.reason ?? "unavailable");
    }
    for (const entry of page.entries) {
      if (Number(entry.time) < from) return { entries: found.reverse(), gap: undefined };
      found.push(entry);
      budget.messages -= 1;
      budget.bytes -= entry.body?.event.length ?? 0;
    }
    before -= page.entries.length;
  }
  return { entries: found.reverse(), gap: undefined };
}

/** A page of history, in a step of its own. Undefined where it cannot be read. */
export async function readPage(
  { broker, logger, turns }: LogReader,
  channel: string,
  filter: HistoryFilter,
): Promise<HistoryPage | undefined> {
  try {
    return await turns.run(() => broker.history(channel, filter));
  } catch (error) {
    logger.warn("history cannot be read", { error: String(error) });
    return undefined;
  }
}
