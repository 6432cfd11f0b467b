/**
 * How far a node is in one channel: what it hears is handed over where it goes on from there; anything
 * else is read from the log first. What cannot be had is told. Everything is handed over one turn later,
 * so that what one turn brings is one batch.
 */
import type { PresenceChange } from "../../../channels/presence.ts";
import { background } from "../../../engine/background.ts";
import type {
  BrokerHandler,
  GapReason,
  LogGap,
  Position,
  PresenceSnapshot,
} from "../../../engine/ports/broker.ts";
import type { Logger, Timers } from "../../../engine/ports/platform.ts";
import type { Entry } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_QUEUED_BYTES } from "../../../protocol/limits.ts";
import type { EntryNotice, Notice, Place } from "../reply.ts";

/** How long what is in the log may take to be heard, in milliseconds. */
export const HEARING_MS = 1_000;

/** What is not known yet of an offset or a generation; below all of them. */
const UNKNOWN = -1;

/** Where a channel is. */
export interface Opened {
  /** The head. */
  readonly place: Place;
  /** Of the last presence change. */
  readonly presence: number;
}

/** What lies behind a place. */
export interface CatchUp extends Opened {
  /** What became of entries that are missing at the front. */
  readonly reason: GapReason;
  /** Entries of the life of the log that was known, where that has ended. */
  readonly tail: readonly Entry[];
  /** Ascending. Ends before the head where there was too much for one answer. */
  readonly entries: readonly Entry[];
}

export interface CursorHost {
  readonly channel: string;
  readonly timers: Timers;
  handler(): BrokerHandler | undefined;
  /** Sees to it that `flush` is called in the next turn. */
  flushSoon(): void;
  /**
   * Reads what lies behind a place; tries until it succeeds or `over` says that nobody cares.
   *
   * @throws what no repetition mends
   */
  catchUp(from: Place, over: () => boolean): Promise<CatchUp | undefined>;
  /** The same. */
  presence(over: () => boolean): Promise<PresenceSnapshot | undefined>;
  /**
   * Another life of the log has begun: what Redis knew of the node's members may be gone with the old.
   * Resolves when it knows them, or cannot be told now. Never rejects.
   */
  moved(): Promise<void>;
  /** Hears of what failed and is tried again when the channel is looked at. */
  failed(error: unknown): void;
  readonly logger: Logger;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class RedisCursor {
  readonly #host: CursorHost;
  /** Up to here everything has been handed over or waits for the next turn. Undefined until `opened`. */
  #last: Place | undefined;
  #handed: Position | undefined;
  /** Of the last presence change. */
  #presence = 0;
  /** What was heard while something had to be read first. */
  #heard: Notice[] = [];
  #heardBytes = 0;
  #reading: Promise<void> | undefined;
  /** Somebody has asked to read once more. */
  #again = false;
  /** Something that is in no log is waited for. */
  #awaited: { readonly place: Place; readonly heard: () => void } | undefined;
  /** What waits for the next turn. */
  #out: Delivery[] = [];
  /** Counts the times that everything was forgotten. */
  #round = 0;

  constructor(host: CursorHost) {
    this.#host = host;
  }

  /** The last position that was handed over. */
  get position(): Position | undefined {
    return this.#handed;
  }

  /** The last place that was taken. */
  get last(): Place | undefined {
    return this.#last;
  }

  /** Whether something is known of the channel, be it a change of presence alone. */
  get begun(): boolean {
    return this.#last !== undefined;
  }

  /** Whether it is known where the node is in the log. */
  get placed(): boolean {
    return this.#last !== undefined && this.#last.offset !== UNKNOWN;
  }

  /** Begins with what was heard first: nobody here has asked where the channel is. */
  begin(notice: Notice): void {
    const { kind, place } = this.#heard[0] ?? notice;
    // Presence says nothing of entries: the next one is the first.
    this.beginAt({ ...place, offset: kind === "entry" ? place.offset - 1 : UNKNOWN });
  }

  /** Keeps what is heard of a channel that has no place, until it is known what came before. */
  wait(notice: Notice): void {
    this.#last = undefined;
    this.take(notice);
  }

  /** Nothing came before what was kept. */
  beginHeard(): void {
    const [first] = this.#heard;
    if (this.#last === undefined && first !== undefined) this.begin(first);
  }

  /** Begins behind a place. */
  beginAt(place: Place): void {
    // What is known of presence goes on in the same log.
    if (this.#last?.epoch !== place.epoch) this.#presence = UNKNOWN;
    this.#last = place;
    for (const notice of this.#forgetHeard()) this.take(notice);
  }

  /** Nobody here wants the channel any more: what comes later is another story. */
  reset(): void {
    this.#last = undefined;
    this.#handed = undefined;
    this.#presence = 0;
    this.#forgetHeard();
    this.#out = [];
    this.#reading = undefined;
    this.#again = false;
    this.#round += 1;
    this.#awaited?.heard();
  }

  /**
   * The channel has answered a registration.
   *
   * @returns what subscribers take as the head
   */
  async opened({ place, presence }: Opened): Promise<Position> {
    const { epoch, offset } = place;
    // Of a log that has ended without an entry that the node knew nothing is left.
    if (!this.placed && this.#last?.epoch !== epoch) {
      // What was heard by now may be for those who have the channel by a pattern; others begin at the head.
      const from = Math.min(offset, (this.firstHeard(epoch) ?? offset + 1) - 1);
      this.#last = { ...place, offset: from };
      this.#handed = { epoch, offset: from };
      this.#presence = Math.min(presence, this.#presenceHeard(epoch) ?? presence);
      const heard = this.#forgetHeard();
      for (const notice of heard) this.take(notice);
      if (this.#again) this.#goOn();
    } else if (!this.placed) this.#last = place;
    else if (this.#last?.epoch !== epoch) await this.catchUp();
    const last: Place | undefined = this.#last;
    if (last === undefined || last.epoch === epoch) return { epoch, offset };
    return { epoch: last.epoch, offset: last.offset };
  }

  /** Offset of the first entry of a log that was heard before it was known where the node is. */
  firstHeard(epoch: string): number | undefined {
    return this.#heard.find((one) => isEntry(one) && one.place.epoch === epoch)?.place.offset;
  }

  /** The generation before the first change of presence that was heard so. */
  #presenceHeard(epoch: string): number | undefined {
    for (const notice of this.#heard) {
      if (notice.kind === "presence" && notice.place.epoch === epoch) return notice.previous;
    }
    return undefined;
  }

  take(notice: Notice): void {
    if (this.#last !== undefined && this.#reading === undefined && this.#inStep(notice)) return;
    this.#heard.push(notice);
    this.#heardBytes += notice.bytes;
    if (this.#awaited !== undefined && reaches(notice, this.#awaited.place)) this.#awaited.heard();
    if (this.#heardBytes > MAX_QUEUED_BYTES) {
      // The log has them; a channel without one loses them, which is told.
      this.#forgetHeard();
      this.#again = true;
    }
    if (this.#last !== undefined) this.#goOn();
  }

  /** Reads without anybody who waits for it. */
  #goOn(): void {
    background(this.catchUp(), this.#host.logger, "catching up with a channel");
  }

  /** Whether a channel has gone further than what was heard of it. */
  behind({ place, presence }: Opened): boolean {
    if (this.#last === undefined) return false;
    if (this.#last.epoch !== place.epoch) return true;
    const { offset } = this.#last;
    if (offset !== UNKNOWN && offset < place.offset) return true;
    return this.#presence !== UNKNOWN && this.#presence < presence;
  }

  /**
   * Reads what lies behind the last place. Resolves when it waits for the next turn, is not wanted, or cannot be had
   * now: what was heard is kept, and the next message or look at the channel tries again. Never rejects.
   */
  catchUp(): Promise<void> {
    this.#again = true;
    if (this.#reading !== undefined) return this.#reading;
    const reading = this.#read()
      .catch((error: unknown) => this.#host.failed(error))
      .finally(() => {
        if (this.#reading === reading) this.#reading = undefined;
      });
    this.#reading = reading;
    return reading;
  }

  /** Hands over what waits. */
  flush(): void {
    const out = this.#out;
    this.#out = [];
    const handler = this.#host.handler();
    for (const delivery of out) {
      // A handler may end the node's interest.
      if (this.#last === undefined) return;
      if (delivery.kind === "entries") {
        const { epoch, entries } = delivery;
        this.#handed = { epoch, offset: Number(entries.at(-1)?.offset ?? 0) };
        handler?.publications(this.#host.channel, epoch, entries);
      } else if (delivery.kind === "gap") {
        this.#handed = delivery.gap.until;
        handler?.gap(this.#host.channel, delivery.gap);
      } else if (delivery.kind === "presence") {
        handler?.presence(this.#host.channel, delivery.epoch, delivery.changes);
      } else {
        handler?.presenceLost(this.#host.channel, delivery.snapshot.epoch, delivery.snapshot);
      }
    }
  }

  /** Takes what goes on from the last place, or is known already. Returns false for all else. */
  #inStep(notice: Notice): boolean {
    const { place } = notice;
    // Of the next life of the log or late from the one before: what Redis says now decides.
    if (place.epoch !== this.#last?.epoch) return false;
    if (notice.kind === "entry") {
      if (this.#last.offset === UNKNOWN) this.#last = { ...place, offset: place.offset - 1 };
      if (place.offset > this.#last.offset + 1) return false;
      if (place.offset > this.#last.offset) this.#append(place, [notice.entry]);
      return true;
    }
    const { change, previous } = notice;
    if (this.#presence === UNKNOWN) this.#presence = previous;
    if (change.generation <= this.#presence) return true;
    if (previous > this.#presence) return false;
    this.#presence = change.generation;
    this.#push({ kind: "presence", epoch: place.epoch, changes: [change] });
    return true;
  }

  async #read(): Promise<void> {
    const round = this.#round;
    const over = (): boolean => round !== this.#round;
    while (this.#again) {
      this.#again = false;
      const from = this.#last;
      if (from === undefined) return;
      if (from.offset === UNKNOWN) {
        // There is no place to go on from: what may be missed of the channel is found by its time.
        this.#last = undefined;
        return;
      }
      // What was heard before the log is read is known then, or was of a log that has ended.
      const before = this.#heard;
      const known = before.length;
      const found = await this.#host.catchUp(from, over);
      if (found === undefined || over()) return;
      if (this.#unheard(found)) await this.#hear(found.place);
      if (over()) return;
      const moved = this.#apply(from, found, this.#heard);
      // Too much may have come meanwhile, and what was heard before is forgotten then.
      this.#hold(this.#heard === before ? before.slice(known) : this.#heard);
      if (moved) await this.#host.moved();
      if (over()) return;
      const behind = this.#presence !== UNKNOWN && found.presence > this.#presence;
      if (moved || behind) await this.#readPresence(over);
      if (over()) return;
      // Meanwhile there was more.
      const waiting = this.#forgetHeard().filter((notice) => !this.#inStep(notice));
      if (waiting.length > 0 || this.#behind(found)) this.#again = true;
      this.#hold(waiting);
    }
  }

  #hold(heard: Notice[]): void {
    this.#heard = heard;
    this.#heardBytes = heard.reduce((bytes, notice) => bytes + notice.bytes, 0);
  }

  /**
   * Whether the newest entry is in no log and has not been heard. It may be on its way: that it is lost
   * cannot be said at once.
   */
  #unheard({ place, entries }: CatchUp): boolean {
    const known = this.#last?.epoch === place.epoch ? this.#last.offset : 0;
    if (entries.length > 0 || known >= place.offset) return false;
    return !this.#heard.some((notice) => reaches(notice, place));
  }

  async #hear(place: Place): Promise<void> {
    await new Promise<void>((resolve) => {
      const heard = (): void => {
        cancel();
        // Only one waits at a time, and another one may by then.
        this.#awaited = undefined;
        resolve();
      };
      const cancel = this.#host.timers.after(HEARING_MS, heard);
      this.#awaited = { place, heard };
    });
  }

  /** Whether an answer did not come to the head that it tells. */
  #behind({ place }: CatchUp): boolean {
    return this.#last?.epoch === place.epoch && this.#last.offset < place.offset;
  }

  /**
   * Takes what was read and what was heard behind a place, and tells what is missing.
   *
   * @returns whether another life of the log has begun
   */
  #apply(from: Place, found: CatchUp, heard: readonly Notice[]): boolean {
    const { place, tail, reason } = found;
    const moved = place.epoch !== from.epoch;
    const last = moved ? this.#move(from, place, tail, found.entries, heard) : from;
    const entries = merged(found.entries, place.epoch, heard);
    const read = found.entries.at(-1);
    // What was too much for one answer is not missing.
    const until = read === undefined ? place.offset : Number(read.offset);
    this.#goTo(last, { ...place, offset: until }, entries, reason);
    for (const notice of heard) if (notice.kind === "presence") this.#inStep(notice);
    return moved;
  }

  /** Hands over the entries behind a place and up to another one, dense, and tells of the holes between them. */
  #goTo(from: Place, to: Place, entries: ReadonlyMap<number, Entry>, reason: GapReason): void {
    let last = from;
    let run: Entry[] = [];
    for (let offset = from.offset + 1; offset <= to.offset; offset++) {
      const entry = entries.get(offset);
      if (entry !== undefined) {
        run.push(entry);
        continue;
      }
      if (run.length > 0) last = { ...to, offset: offset - 1 };
      this.#append(last, run);
      run = [];
      // The hole in one step: there may be very many offsets in it.
      offset = nextOf(entries, offset, to.offset) - 1;
      const after = { epoch: last.epoch, offset: last.offset };
      last = { ...to, offset };
      this.#skip(reason, after, last);
    }
    this.#append(to, run);
  }

  /** Tells that one life of a log has ended. Answers the place before the first entry of the next one. */
  #move(
    from: Place,
    place: Place,
    tail: readonly Entry[],
    entries: readonly Entry[],
    heard: readonly Notice[],
  ): Place {
    const old = merged(tail, from.epoch, heard);
    let offset = from.offset;
    const rest: Entry[] = [];
    for (let entry = old.get(offset + 1); entry !== undefined; entry = old.get(offset + 1)) {
      rest.push(entry);
      offset += 1;
    }
    this.#append({ ...from, offset }, rest);
    const fresh = merged(entries, place.epoch, heard);
    const first = nextOf(fresh, 1, place.offset);
    const until = { epoch: place.epoch, offset: first - 1 };
    const after = { epoch: from.epoch, offset };
    const last = { generation: place.generation, ...until };
    this.#last = last;
    this.#push({ kind: "gap", gap: { reason: "epoch_changed", after, until } });
    return last;
  }

  async #readPresence(over: () => boolean): Promise<void> {
    const snapshot = await this.#host.presence(over);
    if (snapshot === undefined || over() || snapshot.epoch !== this.#last?.epoch) return;
    this.#presence = snapshot.generation;
    this.#push({ kind: "snapshot", snapshot });
  }

  /** Steps over what cannot be had. */
  #skip(reason: GapReason, after: Position, place: Place): void {
    const until = { epoch: place.epoch, offset: place.offset };
    this.#host.warn("hole in a channel", { reason, from: after.offset, until: until.offset });
    this.#last = place;
    this.#push({ kind: "gap", gap: { reason, after, until } });
  }

  #append(place: Place, entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#last = place;
    const newest = this.#out.at(-1);
    if (newest?.kind === "entries" && newest.epoch === place.epoch) newest.entries.push(...entries);
    else this.#push({ kind: "entries", epoch: place.epoch, entries: [...entries] });
  }

  #push(delivery: Delivery): void {
    const newest = this.#out.at(-1);
    if (delivery.kind === "presence" && newest?.kind === "presence") {
      newest.changes.push(...delivery.changes);
    } else this.#out.push(delivery);
    this.#host.flushSoon();
  }

  #forgetHeard(): Notice[] {
    const heard = this.#heard;
    this.#heard = [];
    this.#heardBytes = 0;
    return heard;
  }
}

type Delivery =
  | { readonly kind: "entries"; readonly epoch: string; readonly entries: Entry[] }
  | { readonly kind: "gap"; readonly gap: LogGap }
  | { readonly kind: "presence"; readonly epoch: string; readonly changes: PresenceChange[] }
  | { readonly kind: "snapshot"; readonly snapshot: PresenceSnapshot };

/** Entries that were read and heard of one epoch, by their offsets. */
function merged(
  read: readonly Entry[],
  epoch: string,
  heard: readonly Notice[],
): Map<number, Entry> {
  const entries = new Map(read.map((entry) => [Number(entry.offset), entry]));
  for (const notice of heard) {
    if (isEntry(notice) && notice.place.epoch === epoch) {
      entries.set(notice.place.offset, notice.entry);
    }
  }
  return entries;
}

/** The next offset that has an entry, or one past the end. */
function nextOf(entries: ReadonlyMap<number, Entry>, from: number, until: number): number {
  let next = until + 1;
  for (const offset of entries.keys()) if (offset >= from && offset < next) next = offset;
  return next;
}

/** Whether what is told is at a place or behind it. */
function reaches(notice: Notice, { epoch, offset }: Place): boolean {
  return isEntry(notice) && notice.place.epoch === epoch && notice.place.offset >= offset;
}

function isEntry(notice: Notice): notice is EntryNotice {
  return notice.kind === "entry";
}
