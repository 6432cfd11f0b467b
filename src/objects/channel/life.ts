/**
 * One life of a channel's object, from the first call to its eviction or to the day that it deletes
 * itself: the log, the members and the fan-out, each over its store. Every call is
 * one synchronous step.
 */
import { type Appended, ChannelLog } from "../../channels/log.ts";
import type { LogClock, LogRandom } from "../../channels/log-ports.ts";
import type { LogRow } from "../../channels/log-store.ts";
import { MemoryLogStore } from "../../channels/memory-store.ts";
import { ChannelPresence, type PresenceChange, type Snapshot } from "../../channels/presence.ts";
import { RecentIds } from "../../channels/recent-ids.ts";
import type { ChannelRules } from "../../channels/rules.ts";
import type { Position, SubscribeResult } from "../../engine/ports/broker.ts";
import type {
  Entry,
  HistoryRequest,
  PublishItem,
  RegisterRequest,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import type { SharedAlarm } from "../alarm.ts";
import { encodeTransient, type History } from "../calls/internal-codec.ts";
import type { LeaseTerms } from "../calls/lease-terms.ts";
import { interestOf } from "../calls/pattern-calls.ts";
import type { PatternInterest } from "../calls/pattern-interest.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ChannelHearer } from "../ports/channel-hearer.ts";
import type { ChannelStore, GatewayStore } from "../ports/channel-store.ts";
import type { NearRun } from "../ports/near-channel.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { ChannelFanOut } from "./fan-out.ts";
import type { Answering } from "./fan-out-gateway.ts";
import { ChannelLease } from "./lease.ts";
import { encodeRows, takeBatch } from "./recent-entries.ts";
import { ChannelReporter } from "./reporter.ts";

/** What the life needs from the object around it. */
export interface ChannelHost {
  readonly name: string;
  readonly rules: ChannelRules;
  readonly store: ChannelStore;
  /** The time of the log, of presence and of leases. */
  readonly clock: LogClock;
  readonly random: LogRandom;
  readonly alarm: SharedAlarm;
  readonly terms: LeaseTerms;
  /**
   * Asks the index for a lease. Resolves with the gateways that hear the channel through patterns.
   *
   * @param gone those that have said that they do not
   */
  lease(gone: readonly PatternInterest[]): Promise<readonly PatternInterest[]>;
  /** Calls a gateway. Resolves with whether it has gone from this registration. */
  deliver(gateway: string, request: Uint8Array): Promise<{ readonly gone: boolean }>;
  /** Whether channels are listed, so that each has to report that it exists. */
  readonly reports: boolean;
  readonly calls: Pick<ObjectCalls, "stats">;
  /** Hears whether there are subscribers by name; undefined where no hook wants that. */
  readonly hearer?: ChannelHearer | undefined;
  readonly platform: ObjectPlatform;
}

export class ChannelLife {
  readonly #host: ChannelHost;
  readonly #log: ChannelLog;
  readonly #gateways: GatewayStore;
  readonly #fanOut: ChannelFanOut;
  readonly #lease: ChannelLease;
  readonly #reporter: ChannelReporter;
  /** The head that this life found: what lies at or below may be undelivered. */
  readonly #startHead: number;
  /** The last request of each gateway. */
  readonly #sequences = new Map<string, bigint>();
  #members: ChannelPresence | undefined;
  /** Ids of messages outside of the log: a call may be repeated. */
  readonly #transmitted = new RecentIds(MAX_BATCH_ENTRIES);

  constructor(host: ChannelHost) {
    this.#host = host;
    const { name, rules, store, clock, random, alarm, platform } = host;
    const { transient } = rules;
    const log = new ChannelLog(
      transient ? new MemoryLogStore() : store.log(),
      clock,
      random,
      rules,
    );
    const gateways = store.gateways();
    this.#log = log;
    this.#gateways = gateways;
    this.#startHead = log.head;
    const startTime = log.lastTime;
    this.#fanOut = new ChannelFanOut(
      {
        channel: name,
        epoch: log.epoch,
        transient,
        head: () => log.head,
        undelivered: (until) => (until > 0 && until <= this.#startHead ? startTime : 0),
        read: (after, until) => log.read(after, until),
        deliver: (gateway, request) => host.deliver(gateway, request),
        saveGateway: (row) => gateways.save(row),
        dropGateway: (gateway) => gateways.drop(gateway),
        left: (gateway) => this.#left(gateway),
        now: clock.now,
        alarmBy: (at) => alarm.by(at),
        platform,
      },
      gateways.all(),
    );
    this.#lease = new ChannelLease({
      terms: host.terms,
      now: clock.now,
      ask: () => this.#askIndex(),
      granted: (interests, round) => this.#fanOut.setInterests(interests, round),
      platform,
    });
    this.#reporter = new ChannelReporter({
      channel: name,
      positionTtlMs: rules.positionTtlMs,
      store: store.reported(),
      calls: host.calls,
      // Without registered gateways the members need not be read.
      members: () => (this.#fanOut.registered ? this.#presence() : this.#members)?.size ?? 0,
      due: () => this.due,
      platform,
    });
  }

  /** Has its end seen to, unless the call that began this life was that of a subscriber. */
  opened(): void {
    if (!this.#fanOut.registered && this.#gateways.quietSince() === undefined) this.#quiet();
  }

  get position(): Position {
    return { epoch: this.#log.epoch, offset: this.#log.head };
  }

  /**
   * What has changed at a gateway. Sessions that are present count before those that have gone, so that a
   * member that changes sessions neither leaves nor joins; and both before the registration, which
   * hears of what comes after it.
   */
  register(request: RegisterRequest): SubscribeResult {
    const { gateway, sequence, registration, ended, pattern } = request;
    if (sequence >= (this.#sequences.get(gateway) ?? 0n)) {
      this.#sequences.set(gateway, sequence);
      // A follower there through a pattern may not be known yet, and hears of all that changes here.
      if (pattern !== undefined) this.addInterest(interestOf(pattern));
      this.#update(request);
      if (registration !== "") this.#register(request);
      if (ended !== "") this.#fanOut.unregister(gateway, ended);
      if (this.#host.reports) this.#reporter.changed(request.region);
    }
    // A gateway that neither follows presence nor changes it has no use for the number, and no need to read.
    const generation = request.presence ? this.#presence()?.generation : this.#members?.generation;
    return { position: this.position, generation: generation ?? 0 };
  }

  /**
   * Undefined where the hearers of the channel are known, so that messages may be taken, else a promise; its
   * waiter asks again.
   *
   * @throws MessagingError UNAVAILABLE where the hearers of the channel cannot be known
   */
  ready(): Promise<void> | undefined {
    return this.#lease.take();
  }

  /** Whether messages may be taken in this step. */
  isReady(): boolean {
    return this.#lease.takeHeld();
  }

  /** One more gateway hears the channel through a pattern, from here on. */
  addInterest(interest: PatternInterest): void {
    this.#fanOut.addInterest(interest, this.#lease.round);
  }

  /**
   * A gateway's publishes are about to be taken, and their answer may carry what it lacks; undefined where it may not.
   * Ends with `answer` or `withoutAnswer`.
   */
  answering(registration: string): Answering | undefined {
    return this.#fanOut.answering(registration);
  }

  /** What the answer carries, a DeliverRequest; undefined where nothing. Comes after the flush. */
  answer(answering: Answering): Uint8Array | undefined {
    return this.#fanOut.answer(answering);
  }

  /** Has a gateway on this thread take what it lacks, where that is these newest entries. Comes after the flush. */
  handOver(answering: Answering, entries: readonly Entry[], take: (run: NearRun) => boolean): void {
    this.#fanOut.handOver(answering, entries, take);
  }

  /** There is no answer. */
  withoutAnswer(answering: Answering): void {
    this.#fanOut.withoutAnswer(answering);
  }

  /**
   * Appends one item of a batch. It is delivered with the next flush, or with the answer to its gateway. Only while the
   * life is `ready`.
   */
  publish({ key, body }: PublishItem, answering?: Answering): Appended {
    const { offset, time, duplicate } = this.#log.append(key, body);
    if (!duplicate) this.#fanOut.append({ offset, key, time, body });
    else if (offset <= this.#startHead) this.#fanOut.offerAgain(offset);
    else this.#fanOut.repeated(offset, answering);
    return { offset, time, duplicate };
  }

  /** Takes a message outside of the log. It is delivered with the next flush. Only while the life is `ready`. */
  transmit({ key: id, body }: PublishItem): void {
    if (!this.#transmitted.add(id)) return;
    this.#fanOut.transmit(encodeTransient(id, this.#host.clock.now(), body));
  }

  /** Something was published by a node in this region. */
  published(region: string): void {
    if (this.#host.reports) this.#reporter.published(region);
  }

  /** Whether a delivery is under way: what is flushed before its end leaves after it, and is owed until then. */
  get delivering(): boolean {
    return this.#fanOut.delivering;
  }

  /** Has delivery under way of everything that was published. */
  flush(): void {
    this.#fanOut.flush();
  }

  /** Stored entries in (after, until], encoded, as many as one batch holds. */
  read(after: number, until: number): Uint8Array[] {
    return encodedEntries(this.#log.read(after, until));
  }

  history({ since, limit, reverse, bytes }: HistoryRequest): History {
    const position = this.position;
    const known = since === undefined || since.epoch === "" ? undefined : since;
    const foreign = known !== undefined && known.epoch !== position.epoch;
    const { rows, first, reason, more } = this.#log.page({
      since: known === undefined ? undefined : Number(known.offset),
      limit: foreign ? 0 : Math.min(limit, MAX_BATCH_ENTRIES),
      reverse,
      maxBytes: bytes === 0 ? MAX_BATCH_BYTES : Math.min(bytes, MAX_BATCH_BYTES),
    });
    const entries = encodedEntries(rows);
    // Encoded they may be more than one batch; what was left out is there for the next page.
    const whole = entries.length === rows.length;
    return { position, first, reason: reason ?? "", entries, more: (more || !whole) && !foreign };
  }

  removeHistory(): void {
    this.#log.removeHistory();
  }

  /** Lets go of what is too old. */
  trim(): void {
    this.#log.trim();
  }

  /** Lets go of history, the oldest first, until so many bytes are free. */
  shed(bytes: number): void {
    this.#log.shed(bytes);
  }

  /** A gateway is no more, and neither are its sessions. */
  gatewayEnded(gateway: string): void {
    this.#sequences.delete(gateway);
    this.#fanOut.gatewayEnded(gateway);
    // It may have brought members before it registered, or after.
    this.#changed(this.#presence()?.lost(gateway) ?? []);
  }

  /** The index has lost what it knew: what it has granted counts no more. */
  indexEnded(): void {
    this.#lease.end();
  }

  /** Names of the gateways that hear the channel. All of them only while the life is `ready`. */
  get gateways(): Iterable<string> {
    return this.#fanOut.listening;
  }

  presence(limit: number): Snapshot {
    return this.#presence()?.snapshot(limit) ?? { members: [], total: 0, generation: 0 };
  }

  /**
   * The alarm: ends the grace of sessions that did not come back, delivers what is owed, and asks for the
   * next alarm where one is needed. It may be repeated.
   */
  async alarm(): Promise<void> {
    this.#changed(this.#presence()?.expire() ?? []);
    await this.#fanOut.alarm();
    this.#watch();
    this.watchEnd();
  }

  /** Asks for the alarm that may find the object forgettable, where that is to come. */
  watchEnd(): void {
    const { due } = this;
    if (due !== undefined && due > this.#host.clock.now()) this.#host.alarm.by(due);
  }

  /** Whether the object may forget everything now. The answer holds for this step only. */
  get forgettable(): boolean {
    const { due } = this;
    if (due === undefined || due > this.#host.clock.now()) return false;
    return (this.#presence()?.size ?? 0) === 0 && !this.#fanOut.owes;
  }

  /**
   * Has the channel listed no more, where it ever was.
   *
   * @throws MessagingError UNAVAILABLE
   */
  async reportEnd(): Promise<void> {
    await this.#reporter.end();
  }

  /** The object has forgotten everything: what this life still waits for changes nothing. */
  end(): void {
    this.#fanOut.end();
    this.#reporter.stop();
  }

  /** When no client may ask for the past any more, Unix milliseconds; undefined while there are subscribers. */
  get due(): number | undefined {
    if (this.#fanOut.registered) return undefined;
    const quiet = Math.max(this.#log.lastTime, this.#gateways.quietSince() ?? 0);
    return quiet + this.#host.rules.positionTtlMs;
  }

  async #askIndex(): Promise<readonly PatternInterest[]> {
    const gone = this.#fanOut.takeGone();
    try {
      return await this.#host.lease(gone);
    } catch (error) {
      this.#fanOut.putBackGone(gone);
      throw error;
    }
  }

  /** Updates the members, and reports what has changed, however far it comes. */
  #update(request: RegisterRequest): void {
    const changes: PresenceChange[] = [];
    try {
      for (const change of this.#presenceChanges(request)) {
        if (change !== undefined) changes.push(change);
      }
    } catch (error) {
      // What could not be stored is not so: it is read again.
      this.#members = undefined;
      throw error;
    } finally {
      this.#changed(changes, request.waiting);
    }
  }

  *#presenceChanges(request: RegisterRequest): Iterable<PresenceChange | undefined> {
    const { gateway, joined, left, complete } = request;
    if (!complete && joined.length === 0 && left.length === 0) return;
    const presence = this.#presence();
    if (presence === undefined) return;
    if (complete) yield* presence.lost(gateway, new Set(joined.map(({ sessionId }) => sessionId)));
    for (const session of joined) yield presence.join(gateway, session);
    for (const { sessionId, clean } of left) yield presence.leave(sessionId, clean);
  }

  /**
   * Reports changes in the step that made them, so that none is made and never reported. A gateway that hears the
   * channel through a pattern and is not known gets them when the index has answered. That is not waited for: a
   * subscribe must not fail because an index does.
   *
   * @param waiting channels that the gateway has still to call
   */
  #changed(changes: readonly PresenceChange[], waiting = 0): void {
    if (changes.length > 0) {
      const known = this.#lease.held;
      this.#fanOut.changed(changes, known);
      this.#fanOut.flush();
      if (!known) this.#lease.askLater(waiting);
      if (this.#host.reports) this.#reporter.changed();
    }
    this.#watch();
  }

  #register({ gateway, registration, presence }: RegisterRequest): void {
    const { hearer } = this.#host;
    const vacant = hearer !== undefined && !this.#fanOut.registered;
    this.#fanOut.register(gateway, registration, presence);
    if (vacant) hearer.changed(true);
  }

  /** A gateway is registered no more: its sessions may come back on another one. */
  #left(gateway: string): void {
    this.#changed(this.#presence()?.lost(gateway) ?? []);
    if (this.#fanOut.registered) return;
    this.#host.hearer?.changed(false);
    this.#quiet();
    if (this.#host.reports) this.#reporter.changed();
  }

  /** From now on there are no subscribers. */
  #quiet(): void {
    const now = this.#host.clock.now();
    this.#gateways.setQuiet(now);
    this.#host.alarm.by(now + this.#host.rules.positionTtlMs);
  }

  /** Sees to it that sessions that dropped are gone when their grace is over. */
  #watch(): void {
    const at = this.#members?.nextExpiry;
    if (at !== undefined) this.#host.alarm.by(at);
  }

  /** The members, read when they are first asked for; undefined in a channel without presence. */
  #presence(): ChannelPresence | undefined {
    const { rules, store, clock } = this.#host;
    if (!rules.presence) return undefined;
    this.#members ??= new ChannelPresence(store.presence(), clock, rules.presenceGraceMs);
    return this.#members;
  }
}

function encodedEntries(rows: Iterable<LogRow>): Uint8Array[] {
  return takeBatch(encodeRows(rows)).map(({ bytes }) => bytes);
}
