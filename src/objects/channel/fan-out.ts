/**
 * A channel's side of the contract with its gateways: which are registered, which hear it through a pattern, what
 * each has been given, and what is still owed. A gateway that hears it both ways has one place here and
 * gets one copy. Pure logic over a few ports; the object around it only reads and writes.
 *
 * A gateway that has published gets what it lacks with the answer, where these are entries alone. The answer is the
 * gateway's to see to: it repeats a call whose answer does not come, and asks where the log is when it gives that up.
 *
 * At most one deliver call per gateway is in flight. What comes meanwhile leaves with the next one. A
 * delivery that cannot start at once, fails or overruns its deadline is owed: then an alarm is stored
 * and the gateway's row notes what it has confirmed, so that a fresh life of the object delivers the
 * rest from the log. A channel that sleeps without an alarm has every gateway at head.
 */
import type { LogRow } from "../../channels/log-store.ts";
import type { PresenceChange } from "../../channels/presence.ts";
import { background } from "../../engine/background.ts";
import { delay, withDeadline } from "../../engine/ports/timers.ts";
import type { Entry } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { encodeDelivery, encodePresenceChange } from "../calls/internal-codec.ts";
import type { PatternInterest } from "../calls/pattern-interest.ts";
import type { GatewayRow } from "../ports/channel-store.ts";
import type { NearRun } from "../ports/near-channel.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { Trouble } from "../trouble.ts";
import {
  type Answering,
  type Call,
  followsPresence,
  type Gateway,
  reached,
} from "./fan-out-gateway.ts";
import { FanOutGateways, type GatewaysHost } from "./fan-out-gateways.ts";
import { PresenceQueue } from "./presence-queue.ts";
import { type EncodedEntry, encodeRows, RecentEntries, takeBatch } from "./recent-entries.ts";

/** How long a delivery may be owed before the alarm makes sure of it, in milliseconds. */
export const OWED_ALARM_MS = 10_000;
/** How long a deliver call may take before it counts as failed, in milliseconds. */
const DELIVER_DEADLINE_MS = 10_000;
/** Pause before a failed delivery is tried again by an object that stays awake, in milliseconds. */
const RETRY_PAUSE_MS = 500;

/** What the fan-out needs from the object around it. */
export interface FanOutHost extends GatewaysHost {
  readonly channel: string;
  readonly epoch: string;
  /**
   * When the newest entry up to an offset was taken that an earlier life may not have delivered, Unix
   * milliseconds; 0 where there is none.
   */
  undelivered(until: number): number;
  /** Rows in (after, until], ascending and dense; may start later where the log was trimmed. */
  read(after: number, until: number): Iterable<LogRow>;
  /** Calls a gateway. Resolves with whether it has gone from this registration. */
  deliver(gateway: string, request: Uint8Array): Promise<{ readonly gone: boolean }>;
  /** A gateway is not registered any more. */
  left(gateway: string): void;
  /** Unix milliseconds. */
  now(): number;
  /** Makes sure that the alarm comes by then, Unix milliseconds. */
  alarmBy(at: number): void;
  readonly platform: ObjectPlatform;
}

/**
 * @example
 * fanOut.register("weur-1", registration, true);
 * fanOut.append(row);
 * fanOut.flush(); // the call to weur-1 is under way: the publish may be acknowledged
 */
export class ChannelFanOut {
  readonly #host: FanOutHost;
  readonly #gateways: FanOutGateways;
  readonly #recent = new RecentEntries();
  /** Changes for gateways that hear the channel through a pattern and are not known yet. */
  readonly #untold = new PresenceQueue(false);
  readonly #trouble: Trouble;
  #over = false;

  constructor(host: FanOutHost, rows: Iterable<GatewayRow>) {
    this.#host = host;
    this.#trouble = new Trouble("deliveries to gateways", host.platform);
    this.#gateways = new FanOutGateways(host, rows);
  }

  /** Whether any gateway is registered by itself. */
  get registered(): boolean {
    return this.#gateways.some(({ registration }) => registration !== "");
  }

  /** Names of the gateways that hear the channel, as far as they are known. */
  get listening(): Iterable<string> {
    return this.#gateways.names();
  }

  /** Whether anything is owed, so that a later life would have to deliver it. */
  get owes(): boolean {
    return this.#gateways.some(({ noted }) => noted);
  }

  /** Whether a delivery is under way, so that what comes now would be owed. */
  get delivering(): boolean {
    return this.#gateways.some(({ call }) => call !== undefined);
  }

  /** The life of the log is over: nothing is delivered any more. */
  end(): void {
    this.#over = true;
  }

  /** Registers a gateway or replaces its registration; what it is owed stays owed. */
  register(name: string, registration: string, follows: boolean): void {
    this.#gateways.register(name, registration, follows);
  }

  /** Acts only while the registration is the gateway's current one. */
  unregister(name: string, registration: string): void {
    if (!this.#gateways.unregister(name, registration)) return;
    this.#host.left(name);
  }

  /** A gateway is no more: nothing is owed to it. */
  gatewayEnded(name: string): void {
    const gateway = this.#gateways.get(name);
    if (gateway === undefined) return;
    gateway.call = undefined;
    if (gateway.pattern !== undefined) this.#gateways.endPattern(name);
    if (gateway.registration !== "") this.unregister(name, gateway.registration);
  }

  /**
   * One more gateway hears the channel through a pattern.
   *
   * @param round the last question to the index by now
   */
  addInterest(interest: PatternInterest, round: number): void {
    const follower = this.#gateways.addInterest(interest, round);
    follower?.presence.putBack(this.#untold.waiting);
  }

  /**
   * These gateways hear the channel through patterns, and no others but those that were pushed since the
   * question.
   */
  setInterests(interests: readonly PatternInterest[], round: number): void {
    if (this.#over) return;
    const untold = this.#untold.take();
    const followers = this.#gateways.setInterests(interests, round);
    for (const { presence } of followers) presence.putBack(untold);
    if (untold.lost || untold.changes.length > 0) this.flush();
  }

  /** Gateways that have said since the last call that they do not hear the channel through patterns. */
  takeGone(): readonly PatternInterest[] {
    return this.#gateways.takeGone();
  }

  /** The index may not have heard of them. */
  putBackGone(gone: readonly PatternInterest[]): void {
    this.#gateways.putBackGone(gone);
  }

  /** Takes an entry that was just appended. It leaves with the next flush. */
  append(row: LogRow): void {
    this.#recent.push(row, () => Math.min(this.#host.head(), ...this.#confirmed()));
  }

  /**
   * Takes a message outside of the log for the gateways that are known now. It leaves with the next flush, or with the
   * call after the one in flight; where that call fails it is lost.
   */
  transmit(message: Uint8Array): void {
    for (const { transients } of this.#gateways.values()) transients.push(message);
  }

  /**
   * Takes presence changes for the gateways that follow them. They leave with the next flush.
   *
   * @param known whether all gateways are known that hear the channel through a pattern; else the others get them
   * with the index's answer
   */
  changed(changes: readonly PresenceChange[], known: boolean): void {
    const encoded = changes.map(encodePresenceChange);
    if (!known) this.#untold.push(encoded);
    for (const gateway of this.#gateways.values()) {
      if (followsPresence(gateway)) gateway.presence.push(encoded);
    }
  }

  /**
   * Delivers again from an offset on. For an entry that an earlier life of the object appended and
   * may not have delivered: gateways that have it ignore it.
   */
  offerAgain(offset: number): void {
    for (const gateway of this.#gateways.values()) {
      if (reached(gateway) < offset) continue;
      gateway.confirmed = Math.min(gateway.confirmed, offset - 1);
      gateway.answered = undefined;
      // The answer of a call in flight must not confirm what it did not carry.
      if (gateway.call !== undefined) gateway.presence.putBack(gateway.call.presence);
      gateway.call = undefined;
    }
  }

  /**
   * A gateway's publishes are being taken, and their answer may carry what it lacks; undefined where that comes by calls
   * alone. Ends with `answer` or `withoutAnswer`.
   */
  answering(registration: string): Answering | undefined {
    const gateway = this.#gateways.registered(registration);
    if (gateway === undefined) return undefined;
    // It publishes again when the answer before has arrived, or repeats what that was about.
    gateway.confirmed = reached(gateway);
    gateway.answers += 1;
    return { gateway, registration, over: false };
  }

  /**
   * An entry was published again, which an answer may have carried that was lost: what that carried goes again.
   *
   * @param answering of the gateway that has published it; undefined where it hears nothing by answers
   */
  repeated(offset: number, answering?: Answering): void {
    for (const gateway of this.#gateways.values()) {
      const { answered, confirmed, registration } = gateway;
      if (answered?.registration !== registration) continue;
      if (offset <= answered.after || offset > answered.until) continue;
      // What was delivered since would have shown the hole.
      if (confirmed > answered.until) continue;
      // Of its own publishes the gateway would not repeat one whose answer has arrived.
      if (gateway === answering?.gateway) gateway.confirmed = Math.min(confirmed, answered.after);
      gateway.answered = undefined;
    }
  }

  /**
   * What the answer carries, a DeliverRequest. Where it cannot carry all that the gateway lacks it carries nothing, and
   * a call does.
   */
  answer(answering: Answering): Uint8Array | undefined {
    const { gateway, registration } = answering;
    const prev = this.#plainSince(answering);
    const batch = prev === undefined ? [] : this.#batch(prev);
    const until = batch.at(-1)?.offset;
    if (prev === undefined || until !== this.#host.head()) {
      this.withoutAnswer(answering);
      return undefined;
    }
    endAnswer(answering);
    // A call may overtake the answer, and brings the same again.
    gateway.answered = { registration, after: gateway.confirmed, until };
    const { channel, epoch } = this.#host;
    return encodeDelivery({
      channel,
      registration,
      epoch,
      prev,
      entries: batch.map((entry) => entry.bytes),
      presence: [],
      presenceLost: false,
      undeliveredTime: this.#host.undelivered(prev),
      transients: [],
    });
  }

  /**
   * The same for a gateway on this thread, which takes it in this step: where it lacks nothing but these entries, which
   * are the newest ones.
   *
   * @param take returns whether they were handed over; where they may come later it is as with an answer
   */
  handOver(answering: Answering, entries: readonly Entry[], take: (run: NearRun) => boolean): void {
    const { gateway, registration } = answering;
    const prev = this.#plainSince(answering);
    const until = Number(entries.at(-1)?.offset ?? 0);
    const isAll = until === this.#host.head() && Number(entries[0]?.offset) - 1 === prev;
    if (prev === undefined || !isAll) {
      this.withoutAnswer(answering);
      return;
    }
    endAnswer(answering);
    const { confirmed } = gateway;
    gateway.answered = { registration, after: confirmed, until };
    const { epoch } = this.#host;
    const undeliveredTime = this.#host.undelivered(prev);
    if (take({ registration, epoch, prev, entries, undeliveredTime })) {
      gateway.confirmed = until;
      gateway.answered = undefined;
    }
  }

  /** Offset after which a gateway lacks entries and nothing else; undefined where an answer cannot carry what it lacks. */
  #plainSince({ gateway, registration }: Answering): number | undefined {
    if (this.#over || this.#gateways.get(gateway.name) !== gateway) return undefined;
    const { announce, call, confirmed, presence, transients } = gateway;
    // Another life of the gateway may have registered meanwhile, which the answer does not reach.
    if (gateway.registration !== registration) return undefined;
    if (!presence.empty || !transients.empty || announce) return undefined;
    // What a call brings is read from the log if it comes too late; without a log it comes twice.
    return this.#host.transient ? confirmed : Math.max(confirmed, call?.until ?? 0);
  }

  /** The gateway gets what it lacks by calls. */
  withoutAnswer(answering: Answering): void {
    endAnswer(answering);
    const { gateway } = answering;
    if (!this.#over && this.#gateways.get(gateway.name) === gateway) this.#send(gateway);
  }

  /**
   * Issues a deliver call to each gateway that lags and has none in flight; the others are
   * owed. When it returns, publishes may be acknowledged. What fails at one gateway keeps nothing from
   * the others.
   */
  flush(): void {
    if (this.#over) return;
    const failures: unknown[] = [];
    for (const gateway of this.#gateways.values()) {
      try {
        this.#send(gateway);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  #send(gateway: Gateway): void {
    const { call } = gateway;
    if (gateway.answers > 0) return;
    if (call === undefined) {
      if (this.#behind(gateway)) this.#call(gateway);
    } else if (call.until < this.#host.head() || !gateway.presence.empty) this.#owe(gateway);
  }

  /** The alarm: delivers what is owed, and keeps the alarm while anything is. */
  async alarm(): Promise<void> {
    this.flush();
    await Promise.all([...this.#gateways.values()].map((gateway) => gateway.call?.done));
    for (const gateway of this.#gateways.values()) {
      if (gateway.call !== undefined || this.#behind(gateway)) this.#owe(gateway);
      else if (gateway.noted) {
        gateway.noted = false;
        this.#gateways.keep(gateway);
      }
    }
  }

  #behind(gateway: Gateway): boolean {
    const { presence, transients, announce } = gateway;
    return reached(gateway) < this.#host.head() || !presence.empty || !transients.empty || announce;
  }

  #call(gateway: Gateway): void {
    const { registration, pattern, announce } = gateway;
    const batch = this.#batch(gateway.confirmed);
    // Without a batch the gateway has everything, or there is nothing that it could be given.
    const prev = batch.length > 0 ? gateway.confirmed : this.#host.head();
    const presence = gateway.presence.take();
    const { channel, epoch } = this.#host;
    const { logger, timers } = this.#host.platform;
    const request = encodeDelivery({
      channel,
      registration,
      epoch,
      prev,
      entries: batch.map((entry) => entry.bytes),
      presence: presence.changes,
      presenceLost: presence.lost,
      undeliveredTime: this.#host.undelivered(prev),
      transients: gateway.transients.take(),
    });
    const until = batch.at(-1)?.offset ?? prev;
    const version = pattern?.version;
    const done = Promise.resolve();
    const call: Call = { until, presence, announce, registration, version, done };
    gateway.call = call;
    gateway.announce = false;
    // The call is issued here, in the turn that acknowledges the publishes it carries.
    const answer = withDeadline(
      timers,
      this.#host.deliver(gateway.name, request),
      DELIVER_DEADLINE_MS,
    );
    call.done = answer.then(
      ({ gone }) => this.#delivered(gateway, call, gone),
      (error: unknown) => this.#failed(gateway, call, error),
    );
    background(call.done, logger, "a delivery");
    // It lags by more than one batch: the rest waits for the answer, and until then it is owed.
    if (until < this.#host.head()) this.#owe(gateway);
  }

  #delivered(gateway: Gateway, call: Call, gone: boolean): void {
    this.#trouble.worked();
    if (gateway.call !== call) return;
    gateway.call = undefined;
    if (gone) {
      this.#putBack(gateway, call);
      this.#gone(gateway, call);
    } else gateway.confirmed = Math.max(gateway.confirmed, call.until);
    if (this.#gateways.get(gateway.name) !== gateway) return;
    if (this.#behind(gateway)) this.#call(gateway);
  }

  /** A gateway does not hear the channel: what it had registered by the time of the call is over. */
  #gone({ name, pattern }: Gateway, { registration, version }: Call): void {
    if (version !== undefined && pattern?.version === version) this.#gateways.endPattern(name);
    if (registration !== "") this.unregister(name, registration);
  }

  #failed(gateway: Gateway, call: Call, error: unknown): void {
    if (gateway.call !== call) return;
    gateway.call = undefined;
    this.#putBack(gateway, call);
    if (this.#gateways.get(gateway.name) !== gateway) return;
    this.#trouble.failed(error, { gateway: gateway.name });
    const { logger, timers } = this.#host.platform;
    const again = delay(timers, RETRY_PAUSE_MS).then(() => this.flush());
    background(again, logger, "a repeated delivery");
    this.#owe(gateway);
  }

  #putBack(gateway: Gateway, call: Call): void {
    gateway.presence.putBack(call.presence);
    gateway.announce ||= call.announce;
  }

  /** Makes sure that the delivery happens even if this object is reset now. */
  #owe(gateway: Gateway): void {
    if (!gateway.noted) {
      gateway.noted = true;
      this.#gateways.keep(gateway);
    }
    this.#host.alarmBy(this.#host.now() + OWED_ALARM_MS);
  }

  /**
   * The next run for a gateway: from memory where it reaches back far enough, else from the log. In a
   * transient channel there is only memory; the gateway meets the hole.
   */
  #batch(after: number): readonly EncodedEntry[] {
    const head = this.#host.head();
    if (after >= head) return [];
    const { first } = this.#recent;
    if (first !== undefined && (first <= after + 1 || this.#host.transient)) {
      return this.#recent.batch(after);
    }
    return takeBatch(encodeRows(this.#host.read(after, head)));
  }

  *#confirmed(): Iterable<number> {
    for (const gateway of this.#gateways.values()) yield gateway.confirmed;
  }
}

function endAnswer(answering: Answering): void {
  if (answering.over) return;
  answering.over = true;
  answering.gateway.answers -= 1;
}
