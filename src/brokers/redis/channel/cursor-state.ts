/**
 * Where a node is in one channel, and what follows from what it hears and reads: decisions alone. What they ask for,
 * `cursor.ts` does.
 *
 * - `unknown`: nothing is known of the channel. What is heard is kept.
 * - `presence`: changes of presence were heard and no entry, so the life of the log is known and no place in it.
 * - `following`: everything up to a place has been handed over, or waits for the next turn.
 * - `reading`: something may be missing after the place, and the log is read. What is heard is kept.
 * - `hearing`: the log was read, and the newest entry is in no log and was not heard: it may be on its way.
 *
 * | state | message in step | other message | `ask` | the channel has answered |
 * | --- | --- | --- | --- | --- |
 * | `unknown` | kept | kept | `unknown` | `following` |
 * | `presence` | entry: `following`, change: `presence` | `unknown`, kept | `unknown` | `following` |
 * | `following` | `following` | `reading`, kept | `reading` | of another life: as `ask` |
 * | `reading` | kept | kept | reads again | of another life: as `ask` |
 * | `hearing` | kept; the awaited entry: `reading` | kept | reads again | of another life: as `ask` |
 *
 * Where too much is kept, all but the newest message is forgotten and the log is asked for. When a read has ended (`caughtUp`) or has
 * failed, the node is `following`; after a success what was kept is heard once more, which may begin the next read.
 * A channel that is left is `unknown`.
 */
import type { PresenceChange } from "../../../channels/presence.ts";
import type {
  GapReason,
  Held,
  LogGap,
  Position,
  PresenceSnapshot,
} from "../../../engine/ports/broker.ts";
import type { Entry } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { EntryNotice, MemberNotice, Notice, Place } from "../reply.ts";

/** Where a channel is. */
export interface Opened {
  /** The head. */
  readonly place: Place;
  /** Generation of the last presence change. */
  readonly presence: number;
  /** What history held; undefined where that was not asked. */
  readonly held?: Held;
}

/** What comes after a place. */
export interface CatchUp extends Opened {
  /** What became of entries that are missing at the front. */
  readonly reason: GapReason;
  /** Entries of the life of the log that was known, where that has ended. */
  readonly tail: readonly Entry[];
  /** Ascending. Ends before the head where there was too much for one answer. */
  readonly entries: readonly Entry[];
}

/** A node that knows where it is in the log. */
export interface Placed {
  readonly name: "following" | "reading" | "hearing";
  /** The last place that was taken. */
  readonly log: Place;
  /** Generation of the last presence change; undefined until one is heard. */
  readonly presence: number | undefined;
  /** While it reads: whether it has to read once more. */
  readonly again?: boolean;
  /** While it is `hearing`: the entry that is waited for. */
  readonly awaited?: Place;
}

interface PresenceOnly {
  readonly name: "presence";
  readonly log: Omit<Place, "offset"> & { readonly offset?: undefined };
  readonly presence: number | undefined;
}

export type CursorState = { readonly name: "unknown" } | PresenceOnly | Placed;

/** What is handed over in one step, as `BrokerHandler` takes it. */
export type Delivery =
  | { readonly kind: "entries"; readonly epoch: string; readonly entries: Entry[] }
  | { readonly kind: "gap"; readonly gap: LogGap }
  | { readonly kind: "presence"; readonly epoch: string; readonly changes: PresenceChange[] }
  | { readonly kind: "snapshot"; readonly snapshot: PresenceSnapshot };

/** What becomes of a message. */
export interface Step {
  readonly state: CursorState;
  readonly delivery?: Delivery;
  /** Whether the message is kept until it is known what came before. */
  readonly kept: boolean;
}

export const UNKNOWN: CursorState = { name: "unknown" };

export function isPlaced(state: CursorState): state is Placed {
  return state.name !== "unknown" && state.name !== "presence";
}

/** A message was heard. */
export function heard(state: CursorState, notice: Notice): Step {
  switch (state.name) {
    case "presence":
      return inStep(state, notice) ?? { state: UNKNOWN, kept: true };
    case "following":
      return inStep(state, notice) ?? { state: ask(state), kept: true };
    case "hearing":
      return {
        state: reaches(notice, state.awaited) ? reading(state, state.again) : state,
        kept: true,
      };
    default:
      return { state, kept: true };
  }
}

/** The log has to be read, since there may be more in it. */
export function ask(state: CursorState): CursorState {
  if (!isPlaced(state)) return UNKNOWN;
  return state.name === "following" ? reading(state) : { ...state, again: true };
}

/** A node that knows nothing of a channel begins with a message: nothing came before it. */
export function begunBy({ kind, place }: Notice): CursorState {
  if (kind === "entry") return begunAt(UNKNOWN, { ...place, offset: place.offset - 1 });
  // Presence says nothing of entries: the next one is the first.
  const { epoch, generation } = place;
  return { name: "presence", log: { epoch, generation }, presence: undefined };
}

/** A node without a place begins after one. */
export function begunAt(state: CursorState, log: Place, presence?: number): Placed {
  const known = state.name === "presence" && state.log.epoch === log.epoch;
  return { name: "following", log, presence: known ? state.presence : presence };
}

/**
 * A node without a place begins with the answer of the channel.
 *
 * @param kept what was heard by now may be for sessions with the channel by a pattern; others begin at the head
 */
export function opened(
  state: CursorState,
  { place, presence }: Opened,
  kept: readonly Notice[],
): Placed {
  const its = kept.filter((notice) => notice.place.epoch === place.epoch);
  const first = its.find(isEntry)?.place.offset ?? Number.POSITIVE_INFINITY;
  const previous = its.find(isChange)?.previous ?? presence;
  const log = { ...place, offset: Math.min(place.offset, first - 1) };
  return begunAt(state, log, Math.min(presence, previous));
}

/** Whether a channel has gone further than the node knows. */
export function isBehind(state: CursorState, { place, presence }: Opened): boolean {
  if (state.name === "unknown") return false;
  if (state.log.epoch !== place.epoch) return true;
  const { offset = place.offset } = state.log;
  return offset < place.offset || (state.presence ?? presence) < presence;
}

/**
 * Whether the newest entry is in no log and was not heard. It may be on its way: that it is lost cannot be said at
 * once.
 */
export function isUnheard(
  { log }: Placed,
  { place, entries }: CatchUp,
  kept: readonly Notice[],
): boolean {
  const known = log.epoch === place.epoch ? log.offset : 0;
  if (entries.length > 0 || known >= place.offset) return false;
  return !kept.some((notice) => reaches(notice, place));
}

/** A read begins, or goes on without an entry that was waited for. */
export function reading({ log, presence }: Placed, again = false): Placed {
  return { name: "reading", log, presence, again };
}

/** A read has ended, or has failed. */
export function following({ log, presence }: Placed): Placed {
  return { name: "following", log, presence };
}

/**
 * The log was read: what was read and what was kept, in the order of the log, with a gap for each hole.
 *
 * @param kept everything that was heard since the last message in step
 * @returns what is handed over, whether another life of the log has begun, and whether changes of presence were missed
 */
export function caughtUp(state: Placed, found: CatchUp, kept: readonly Notice[]) {
  const { log } = state;
  const { place, reason } = found;
  const { epoch } = place;
  const moved = epoch !== log.epoch;
  const deliveries: Delivery[] = [];
  let last = moved ? 0 : log.offset;
  const entries = [...merged(found.entries, epoch, kept)]
    .filter(([offset]) => offset > last)
    .sort(([a], [b]) => a - b);
  const skip = (why: GapReason, after: Position, offset: number): void => {
    deliveries.push({ kind: "gap", gap: { reason: why, after, until: { epoch, offset } } });
  };
  if (moved) {
    const rest = dense(merged(found.tail, log.epoch, kept), log.offset);
    if (rest.length > 0) deliveries.push({ kind: "entries", epoch: log.epoch, entries: rest });
    // The next life begins before the first entry that can be had of it.
    const first = entries[0]?.[0];
    last = Math.min(first ?? Number.POSITIVE_INFINITY, place.offset + 1) - 1;
    skip("epoch_changed", { epoch: log.epoch, offset: log.offset + rest.length }, last);
  }
  // What was too much for one answer is not missing.
  const until = Number(found.entries.at(-1)?.offset ?? place.offset);
  for (const [offset, entry] of entries) {
    if (offset > until) break;
    if (offset > last + 1) skip(reason, { epoch, offset: last }, offset - 1);
    add(deliveries, { kind: "entries", epoch, entries: [entry] });
    last = offset;
  }
  if (last < until) {
    skip(reason, { epoch, offset: last }, until);
    last = until;
  }
  let { presence } = state;
  for (const notice of kept.filter(isChange)) {
    if (notice.place.epoch !== epoch || !goesOn(presence, notice)) continue;
    presence = notice.change.generation;
    add(deliveries, { kind: "presence", epoch, changes: [notice.change] });
  }
  const lacksPresence = moved || (presence ?? found.presence) < found.presence;
  const again = state.again === true || last < place.offset;
  const next = reading({ ...state, log: { ...place, offset: last }, presence }, again);
  return { state: next, deliveries, moved, lacksPresence };
}

/** Adds a delivery to others. Entries of one epoch are one delivery, and so are changes. */
export function add(deliveries: Delivery[], delivery: Delivery): void {
  const newest = deliveries.at(-1);
  if (delivery.kind === "entries" && newest?.kind === "entries" && newest.epoch === delivery.epoch)
    newest.entries.push(...delivery.entries);
  else if (delivery.kind === "presence" && newest?.kind === "presence")
    newest.changes.push(...delivery.changes);
  else deliveries.push(delivery);
}

/** The step of a message that goes on from the last place, or is known already; undefined for all else. */
function inStep(state: PresenceOnly | Placed, notice: Notice): Step | undefined {
  const { log, presence } = state;
  const { epoch, offset } = notice.place;
  // Of the next life of the log or late from the one before: what Redis says now decides.
  if (epoch !== log.epoch) return undefined;
  if (isEntry(notice)) {
    const { offset: last = offset - 1 } = log;
    if (offset > last + 1) return undefined;
    if (offset <= last) return { state, kept: false };
    const delivery: Delivery = { kind: "entries", epoch, entries: [notice.entry] };
    return { state: { name: "following", log: notice.place, presence }, delivery, kept: false };
  }
  const { change } = notice;
  if (change.generation <= (presence ?? notice.previous)) return { state, kept: false };
  if (!goesOn(presence, notice)) return undefined;
  const delivery: Delivery = { kind: "presence", epoch, changes: [change] };
  return { state: { ...state, presence: change.generation }, delivery, kept: false };
}

/** Whether a change is the next one after a generation, or the first that is heard. */
function goesOn(presence: number | undefined, { change, previous }: MemberNotice): boolean {
  const known = presence ?? previous;
  return previous <= known && change.generation > known;
}

/** Entries that were read and heard of one epoch, by their offsets. */
function merged(
  read: readonly Entry[],
  epoch: string,
  kept: readonly Notice[],
): Map<number, Entry> {
  const entries = new Map(read.map((entry) => [Number(entry.offset), entry]));
  for (const notice of kept) {
    if (isEntry(notice) && notice.place.epoch === epoch) {
      entries.set(notice.place.offset, notice.entry);
    }
  }
  return entries;
}

/** The entries after an offset, up to the first hole. */
function dense(entries: ReadonlyMap<number, Entry>, after: number): Entry[] {
  const run: Entry[] = [];
  for (let entry = entries.get(after + 1); entry; entry = entries.get(after + run.length + 1)) {
    run.push(entry);
  }
  return run;
}

/** Whether a message is of an entry at a place, or after it. */
function reaches(notice: Notice, place: Place | undefined): boolean {
  if (place === undefined || !isEntry(notice) || notice.place.epoch !== place.epoch) return false;
  return notice.place.offset >= place.offset;
}

function isEntry(notice: Notice): notice is EntryNotice {
  return notice.kind === "entry";
}

function isChange(notice: Notice): notice is MemberNotice {
  return notice.kind === "presence";
}
