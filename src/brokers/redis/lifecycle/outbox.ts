/**
 * Lifecycle events of this process in Redis. What is recorded waits here until Redis has it, in its order, however
 * long Redis is away; what a lost process has left behind comes to one of the others, which goes on with it.
 */
import { background, Rerun } from "../../../engine/background.ts";
import type { LifecycleEvent, LifecycleKind } from "../../../engine/ports/lifecycle.ts";
import type { Random } from "../../../engine/ports/platform.ts";
import {
  decodeEvent,
  encodeEvent,
  lostEnd,
  lostVacancy,
  MAX_EVENTS,
  type Outbox,
  type OutboxPage,
  type OutboxRow,
  type Place,
} from "../../../hooks/outbox.ts";
import type { RedisKeys } from "../keys.ts";
import { Interval } from "../outage/interval.ts";
import type { RedisRetries } from "../outage/retries.ts";
import { type CallContext, patiently } from "../outage/retry.ts";
import type { RedisArgument, RedisReply } from "../ports.ts";
import { listOf, textOf } from "../reply.ts";
import { ADD, KEPT_MS, TAKE_OVER } from "./scripts.ts";

/** Events, or sessions, that go to Redis in one call. */
const TOGETHER = 200;
/** How often it is said that what is kept is still wanted, in milliseconds. */
const KEEP_EVERY_MS = KEPT_MS / 25;
/** In the log. */
const WRITING = "keeping lifecycle events";

/** Which lifecycle events a deployment keeps, and what it does where they were taken over. */
export interface RedisLifecycleTerms {
  /** The kinds that somebody hears. */
  readonly kinds: ReadonlySet<LifecycleKind>;
  readonly random: Random;
  /** Events that are kept for one process. Default MAX_EVENTS. */
  readonly most?: number;
  /**
   * This process was taken for lost, and its sessions were reported as ended: these must end. What they still report
   * reaches no backend.
   */
  lost(sessionIds: readonly string[]): void;
}

export interface OutboxHost extends CallContext {
  readonly retries: RedisRetries;
  /** This process: unique, letters and digits only. */
  readonly node: string;
  readonly terms: RedisLifecycleTerms;
}

/** Events of one call, until Redis has them. */
interface Recorded {
  readonly events: readonly LifecycleEvent[];
  readonly kept: PromiseWithResolvers<void>;
}

export class RedisOutbox implements Outbox {
  readonly remembers = true;
  readonly #host: OutboxHost;
  readonly #most: number;
  /** What Redis does not have yet. */
  #recorded: Recorded[] = [];
  #recordedEvents = 0;
  /** The connected sessions of this process, each as it has connected, and the channels that they have. */
  readonly #sessions = new Map<string, LifecycleEvent>();
  readonly #channels = new Map<string, LifecycleEvent>();
  /** Events in Redis, as far as is known here. */
  #kept = 0;
  #overflowed = 0;
  #more: () => void = () => {};
  readonly #writing: Rerun;
  readonly #renewals: Interval;
  #ended = false;

  constructor(host: OutboxHost) {
    const { logger } = host.troubles;
    this.#host = host;
    this.#most = host.terms.most ?? MAX_EVENTS;
    this.#writing = new Rerun({ work: () => this.#write(), logger, what: WRITING });
    this.#renewals = new Interval(host, KEEP_EVERY_MS, "remembering sessions", () => this.renew());
  }

  get size(): number {
    return this.#kept + this.#recordedEvents;
  }

  get overflowed(): number {
    return this.#overflowed;
  }

  listen(more: () => void): void {
    this.#more = more;
  }

  /** Redis can be reached from now on. */
  start(): void {
    this.#renewals.start();
  }

  /** Resolves when Redis has all that was recorded, or does not answer in time. */
  async end(): Promise<void> {
    const last = this.#recorded.at(-1);
    if (last !== undefined) await this.#patiently(last.kept.promise).catch(() => {});
    this.#ended = true;
    this.#renewals.end();
  }

  add(told: readonly LifecycleEvent[]): Promise<void> {
    const kept = Promise.withResolvers<void>();
    // A caller that has waited long enough has gone by then.
    kept.promise.catch(() => {});
    const events = told.filter((event) => this.#attends(event));
    this.#recorded.push({ events, kept });
    this.#recordedEvents += events.length;
    while (this.#recordedEvents > this.#most && this.#recorded.length > 1) this.#drop();
    this.#writing.soon();
    return this.#patiently(kept.promise);
  }

  async read(after: Place | undefined, limit: number): Promise<OutboxPage> {
    const key = this.#keys[0];
    const from = after === undefined ? "-" : `(${after}`;
    const found = listOf(
      await this.#host.commands.command(key, ["XRANGE", key, from, "+", "COUNT", `${limit}`]),
    ).map(entryOf);
    const rows: OutboxRow[] = [];
    const strange: string[] = [];
    for (const { place, fields } of found) {
      const bytes = fields.get("event");
      const time = Number(textOf(fields.get("time") ?? place.split("-", 1)[0] ?? ""));
      const sequence = Number(textOf(fields.get("sequence") ?? "0"));
      const event = bytes instanceof Uint8Array ? decodeEvent(bytes, time, sequence) : undefined;
      if (event === undefined) strange.push(place);
      else rows.push({ place, event });
    }
    // Of a version that knew other kinds.
    this.#remove(strange);
    return { rows, next: found.at(-1)?.place };
  }

  remove(rows: readonly OutboxRow[]): void {
    this.#remove(rows.map(({ place }) => `${place}`));
  }

  /** Redis may have forgotten this process, or count it as lost. Never rejects. */
  async renew(): Promise<void> {
    const { troubles } = this.#host;
    try {
      const ends = [
        ...[...this.#sessions.values()].map((event) => this.#end(event)),
        ...[...this.#channels.values()].map((event) => this.#occupant(event)),
      ];
      for (let i = 0; i === 0 || i < ends.length; i += TOGETHER) {
        if (await this.#add(ends.slice(i, i + TOGETHER).flat())) continue;
        this.#lose();
        await this.#add([], true);
        return;
      }
    } catch (error) {
      troubles.note("remembering sessions", error);
    }
  }

  /**
   * Goes on with what a process has left behind, unless it is there again.
   *
   * @throws RedisFailure
   */
  async takeOver(process: string): Promise<void> {
    const { commands, keys } = this.#host;
    const own = this.#keys[0];
    const names = [keys.alive, ...keys.lifecycle(process), own, keys.occupied, keys.sequence];
    for (let more = true; more && !this.#ended; ) {
      const reply = await commands.run(TAKE_OVER, names, [`${process}-`, `${this.#most}`]);
      const answer = TAKE_OVER.read(reply);
      more = answer.more;
      this.#kept += answer.come - answer.dropped;
      this.#overflowed += answer.dropped;
      if (answer.come > 0) this.#more();
    }
  }

  /** Brings what was recorded to Redis, one call after the other. */
  async #write(): Promise<void> {
    const { retries, troubles } = this.#host;
    const over = (): boolean => this.#recorded.length === 0;
    try {
      await retries.until(WRITING, over, () => this.#writeSome());
      if (!over() && !this.#ended) this.#writing.soon();
    } catch (error) {
      // No repetition mends it: the callers that wait learn of it, and the next ones try again.
      for (const { events, kept } of this.#recorded.splice(0)) {
        this.#overflowed += events.length;
        kept.reject(error);
      }
      this.#recordedEvents = 0;
      troubles.note(WRITING, error);
    }
  }

  async #writeSome(): Promise<void> {
    let count = 0;
    const some: Recorded[] = [];
    for (const one of this.#recorded) {
      if (some.length > 0 && count + one.events.length > TOGETHER) break;
      some.push(one);
      count += one.events.length;
    }
    const terms = some.flatMap(({ events }) => events).flatMap((event) => this.#terms(event));
    if (!(await this.#add(terms))) {
      this.#lose();
      // Of sessions whose end is reported nothing is left: it is another call.
      await this.#add([], true);
      return await this.#writeSome();
    }
    // Some may have been given up meanwhile, so that they are counted already.
    const there = new Set(this.#recorded);
    const done = new Set(some);
    this.#recorded = this.#recorded.filter((one) => !done.has(one));
    for (const one of some) {
      const { events, kept } = one;
      if (there.has(one)) this.#recordedEvents -= events.length;
      for (const { kind, sessionId } of events) {
        if (kind === "disconnected") this.#sessions.delete(sessionId);
      }
      kept.resolve();
    }
    this.#more();
  }

  /** Whether an event is of a session that is connected: one that was taken over has ended. */
  #attends(event: LifecycleEvent): boolean {
    if (event.kind === "occupied") this.#channels.set(event.channel, event);
    if (event.kind === "vacated") this.#channels.delete(event.channel);
    if (event.sessionId === "" || !this.#host.terms.kinds.has("disconnected")) return true;
    if (event.kind === "connected") this.#sessions.set(event.sessionId, event);
    return this.#sessions.has(event.sessionId);
  }

  /** What `ADD` is to do for an event. */
  #terms(event: LifecycleEvent): RedisArgument[] {
    const { kinds } = this.#host.terms;
    const { channel, kind, sessionId } = event;
    // Redis numbers the events of channels: it knows those of all processes.
    const bytes = kinds.has(kind) ? encodeEvent({ ...event, sequence: 0 }) : "";
    if (kind === "occupied") return [...this.#occupant(event), kind, channel, bytes];
    if (kind === "vacated") return [kind, channel, bytes];
    const ends = kind === "disconnected" && kinds.has("disconnected");
    return [
      ...(kind === "connected" && kinds.has("disconnected") ? this.#end(event) : []),
      ...(kinds.has(kind) ? [ends ? kind : "event", sessionId, bytes] : []),
    ];
  }

  #end(connected: LifecycleEvent): RedisArgument[] {
    const ending = lostEnd(connected, this.#host.terms.random.uuid());
    return ["connected", connected.sessionId, encodeEvent(ending)];
  }

  #occupant(occupied: LifecycleEvent): RedisArgument[] {
    const { kinds, random } = this.#host.terms;
    const vacancy = lostVacancy(occupied, random.uuid());
    const bytes = kinds.has("vacated") ? encodeEvent(vacancy) : "";
    return ["occupant", occupied.channel, bytes];
  }

  /** Returns false where this process was taken over. */
  async #add(terms: readonly RedisArgument[], known = false): Promise<boolean> {
    const args = [`${this.#most}`, known ? "1" : "0", ...terms];
    const { commands, keys } = this.#host;
    const names = [...this.#keys, keys.occupied, keys.sequence];
    const { taken, waiting, dropped } = ADD.read(await commands.run(ADD, names, args));
    if (taken) return false;
    this.#kept = waiting;
    this.#overflowed += dropped;
    return true;
  }

  /** The sessions of this process have ended for every backend that hears of them. */
  #lose(): void {
    const lost = new Set(this.#sessions.keys());
    this.#sessions.clear();
    const heard: Recorded[] = [];
    for (const { events, kept } of this.#recorded) {
      const left = events.filter(({ sessionId }) => !lost.has(sessionId));
      if (left.length > 0) heard.push({ events: left, kept });
      else kept.resolve();
    }
    this.#recorded = heard;
    this.#recordedEvents = heard.reduce((sum, { events }) => sum + events.length, 0);
    if (lost.size === 0) return;
    const { terms, troubles } = this.#host;
    const fields = { sessions: lost.size };
    troubles.logger.warn("this process was taken for lost: its sessions end", fields);
    terms.lost([...lost]);
  }

  /** Gives up what has waited for the longest time. */
  #drop(): void {
    const oldest = this.#recorded.shift();
    if (oldest === undefined) return;
    this.#recordedEvents -= oldest.events.length;
    this.#overflowed += oldest.events.length;
    oldest.kept.resolve();
  }

  #remove(places: readonly string[]): void {
    if (places.length === 0) return;
    const { commands, retries, troubles } = this.#host;
    const key = this.#keys[0];
    this.#kept = Math.max(this.#kept - places.length, 0);
    const removed = retries
      .until(
        "removing lifecycle events",
        () => this.#ended,
        () => commands.command(key, ["XDEL", key, ...places]),
      )
      .catch((error: unknown) => troubles.note("removing lifecycle events", error));
    background(removed, troubles.logger, "removing lifecycle events");
  }

  async #patiently(kept: Promise<void>): Promise<void> {
    await patiently({ ...this.#host, outage: { since: undefined } }, () => kept);
  }

  get #keys(): ReturnType<RedisKeys["lifecycle"]> {
    return this.#host.keys.lifecycle(this.#host.node);
  }
}

/** An entry of a stream. */
function entryOf(reply: RedisReply): { place: string; fields: ReadonlyMap<string, RedisReply> } {
  const [id = null, values = null] = listOf(reply);
  const list = listOf(values);
  const fields = new Map<string, RedisReply>();
  for (let i = 0; i + 1 < list.length; i += 2) {
    fields.set(textOf(list[i] ?? null), list[i + 1] ?? null);
  }
  return { place: textOf(id), fields };
}
