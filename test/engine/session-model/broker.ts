/**
 * A cluster of channels whose every part takes as long as the test likes: calls on their way to a
 * channel, answers on their way back, deliveries. It keeps to the contract in ports/broker.ts.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { MemberSession } from "../../../src/channels/presence.ts";
import type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  HistoryFilter,
  HistoryPage,
  LogGap,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "../../../src/engine/ports/broker.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type EntryBody,
  EntryBodySchema,
  type SeenRecord,
  type SeenRecordSchema,
} from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { SeededRandom } from "../../support/random.ts";
import { Channel, type Logged } from "./channel.ts";
import { type Asked, check, lifeOf, type Outcome } from "./facts.ts";

export const CHANNELS: readonly string[] = ["a", "b.c", "d", "\u00e4.\u{1f600}"];

/** Who is told what the broker is asked, answers and delivers. */
export interface Witness {
  readonly random: SeededRandom;
  readonly clock: { readonly time: number };
  note(line: string): void;
  /** The session that runs now asks something of a channel. */
  queries(kind: "register" | "seen" | "history" | "presence", channel: string): Asked;
  joins(channel: string, session: MemberSession): Asked;
  leaves(channel: string, sessionId: string, clean: boolean): void;
  published(channel: string, command: PublishCommand): Asked;
  answer(asked: Asked, outcome: Outcome): void;
  /** Entries behind `after` are handed over, up to and including the other. */
  handing(channel: Channel, after: number, until: Position): void;
}

export class ScriptedBroker implements Broker {
  readonly channels = new Map(CHANNELS.map((name) => [name, new Channel(name)]));
  /** By the last call for each channel. */
  readonly wanted = new Set<string>();
  readonly #world: Witness;
  #handler: BrokerHandler | undefined;

  constructor(world: Witness) {
    this.#world = world;
  }

  start(handler: BrokerHandler): void {
    this.#handler = handler;
    for (const channel of this.channels.values()) channel.known = false;
  }

  subscribe(name: string): Promise<SubscribeResult> {
    const { random } = this.#world;
    const channel = this.channel(name);
    const asked = this.#world.queries("register", name);
    this.wanted.add(name);
    const { registration } = channel;
    return this.#call(channel, asked, 0.06, (fails) => {
      const { head, generation } = channel;
      const current = registration === channel.registration;
      // A call whose outcome is unknown may have registered the node.
      if (current && (!fails || random.chance(0.5))) this.#register(channel, head);
      const arrives = () => {
        const position = registration === channel.registration ? this.#learns(channel, head) : head;
        return { value: { position, generation }, outcome: { position, generation } };
      };
      return { arrives };
    });
  }

  #register(channel: Channel, position: Position): void {
    const fresh = !channel.registered;
    channel.registered = true;
    if (fresh) {
      channel.changes = [];
      channel.toldGeneration = channel.generation;
      if (channel.straggling === 0 || this.#world.random.chance(0.5)) channel.hands(position);
    }
    channel.straggling = 0;
  }

  unsubscribe(name: string): void {
    const channel = this.channel(name);
    this.#world.note(`${name} is left by all`);
    this.wanted.delete(name);
    const behind = channel.registered && channel.handed.epoch === channel.epoch;
    channel.straggling =
      behind && this.#world.random.chance(0.5) ? channel.life.log.length : channel.straggling;
    channel.stale = 0;
    channel.registered = false;
    channel.registration += 1;
    channel.known = false;
    channel.changes = [];
  }

  subscribePattern(): Promise<PatternSubscribeResult> {
    throw new Error("nobody subscribes to patterns here");
  }

  unsubscribePattern(): void {
    throw new Error("nobody has patterns here");
  }

  activeChannels(): Promise<ActiveChannels> {
    throw new Error("nobody has patterns here");
  }

  publish(name: string, command: PublishCommand): Promise<PublishResult> {
    const { random, clock } = this.#world;
    const channel = this.channel(name);
    const { key, body } = command;
    const asked = this.#world.published(name, command);
    const code = random.pick(["UNAVAILABLE", "RATE_LIMITED"]);
    return this.#call(channel, asked, 0.06, (fails) => {
      // UNAVAILABLE says nothing of whether the entry is in the log.
      const appends = !fails || (code === "UNAVAILABLE" && random.chance(0.5));
      const result = appends
        ? channel.append(key, body, eventIdOf(body), clock.time)
        : { position: channel.head, duplicate: false };
      return { arrives: () => ({ value: result, outcome: result }), code };
    });
  }

  join(name: string, session: MemberSession): Promise<void> {
    const channel = this.channel(name);
    const asked = this.#world.joins(name, session);
    return this.#call(channel, asked, 0.1, (fails) => {
      if (!fails || this.#world.random.chance(0.5)) channel.present(session, true);
      return { arrives: () => ({ value: undefined, outcome: {} }) };
    });
  }

  leave(name: string, sessionId: string, clean: boolean): void {
    const channel = this.channel(name);
    this.#world.leaves(name, sessionId, clean);
    channel.calls.push(() => {
      const session = channel.members.get(sessionId);
      if (session !== undefined) channel.present(session, false);
    });
  }

  history(name: string, filter: HistoryFilter): Promise<HistoryPage> {
    const channel = this.channel(name);
    const asked = this.#world.queries("history", name);
    return this.#call(channel, asked, 0.1, () => {
      const page = channel.life.page(filter, this.#world.random.pick([1, 3, 100]));
      return { arrives: () => ({ value: page, outcome: { page } }) };
    });
  }

  presence(name: string, limit: number): Promise<PresenceSnapshot> {
    const channel = this.channel(name);
    const asked = this.#world.queries("presence", name);
    return this.#call(channel, asked, 0.1, () => {
      const snapshot = channel.snapshot(limit);
      return { arrives: () => ({ value: snapshot, outcome: { snapshot } }) };
    });
  }

  async removeHistory(name: string): Promise<void> {
    const { life } = this.channel(name);
    life.trim(life.log.length, "head_trimmed");
  }

  position(name: string): Position | undefined {
    const channel = this.channel(name);
    if (!channel.registered || !channel.known) return undefined;
    const asked = this.#world.queries("seen", name);
    this.#world.answer(asked, { position: channel.handed });
    return channel.handed;
  }

  snapshot(name: string): MessageInitShape<typeof SeenRecordSchema> | undefined {
    const { registered, known, handed, toldGeneration } = this.channel(name);
    if (!registered || !known) return undefined;
    const { epoch, offset } = handed;
    const generation = BigInt(toldGeneration);
    return { channel: name, epoch, offset: BigInt(offset), generation };
  }

  restore({ channel: name, epoch, offset }: SeenRecord): void {
    const channel = this.channel(name);
    // Of several memories the one that reaches furthest counts.
    const { handed } = channel;
    const old = epoch === handed.epoch && Number(offset) <= handed.offset;
    check(old, `${name} is remembered at ${epoch} ${offset}`);
    channel.known = channel.registered;
  }

  channel(name: string): Channel {
    const channel = this.channels.get(name);
    check(channel !== undefined, `the broker is asked for ${JSON.stringify(name)}`);
    return channel;
  }

  /** Whether anything is on its way from or to a channel. */
  able(channel: Channel): boolean {
    return this.#moves(channel).length > 0;
  }

  /** Something of that arrives. */
  move(channel: Channel): void {
    this.#world.random.pick(this.#moves(channel))();
  }

  /** Another node publishes; what is odd, JSON cannot carry: a year of five digits. */
  publishFar(channel: Channel, odd: boolean): void {
    const attr = { case: "ceTimestamp" as const, value: { seconds: 253_402_300_800n } };
    const id = `far-${channel.epoch}-${channel.life.log.length}`;
    const attributes = odd ? { time: { attr } } : {};
    const data = { case: "textData" as const, value: "x".repeat(this.#world.random.int(2_000)) };
    const event = { source: "/far", type: "t", specVersion: "1.0", id, attributes, data };
    const bytes = toBinary(CloudEventSchema, create(CloudEventSchema, event));
    const body = create(EntryBodySchema, { event: bytes, publisher: { sessionId: "far" } });
    channel.append(id, body, id, this.#world.clock.time, odd);
  }

  /** Somebody comes to another node, or goes from there. */
  moveFar(channel: Channel): void {
    const { random } = this.#world;
    const sessionId = `far-${random.int(4)}`;
    const userId = random.pick(["", "far user", sessionId]);
    const known = channel.members.get(sessionId);
    channel.present(known ?? { sessionId, userId, clientId: "" }, known === undefined);
  }

  /** A call on its way: what it does at the channel, and what comes back, unless it fails. */
  #call<T>(channel: Channel, asked: Asked, chance: number, work: Work<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      channel.calls.push(() => {
        const fails = this.#world.random.chance(chance);
        const { arrives, code = "UNAVAILABLE" } = work(fails);
        channel.answers.push(() => {
          if (fails) {
            this.#world.answer(asked, { error: code });
            reject(new MessagingError(code, "no", { metadata: { retry_after_ms: 7 } }));
            return;
          }
          const { value, outcome } = arrives();
          this.#world.answer(asked, outcome);
          resolve(value);
        });
      });
    });
  }

  #moves(channel: Channel): (() => void)[] {
    const { calls, answers, changes } = channel;
    const answer = () => answers.splice(this.#world.random.int(answers.length), 1)[0]?.();
    const call = () => calls.shift()?.();
    // Deliveries are the slowest, so that calls overtake them.
    return [
      ...(calls.length > 0 ? [call, call, call] : []),
      ...(answers.length > 0 ? [answer, answer, answer] : []),
      ...this.#deliveries(channel),
      ...(changes.length > 0 ? [() => this.#tell(channel)] : []),
    ];
  }

  #deliveries(channel: Channel): (() => void)[] {
    const { life, registered, handed, epoch, reached, stale, straggling } = channel;
    if (registered && handed.epoch !== epoch) {
      const late = channel.named(handed.epoch)?.log ?? [];
      return [
        () => this.#begins(channel, { epoch, offset: 0 }),
        ...(handed.offset < stale
          ? [() => this.#hand(channel, handed.epoch, late, handed.offset, stale)]
          : []),
      ];
    }
    const until = registered ? life.log.length : straggling;
    if (reached >= until) return [];
    const skip = () => this.#skip(channel, life.reason, { epoch, offset: life.trimmed });
    const hole = registered && reached < life.trimmed;
    return [
      () => this.#hand(channel, epoch, life.log, reached, until),
      ...(hole ? [skip, skip] : []),
    ];
  }

  /** An answer tells the node where a channel is. Returns what subscribers take as the head. */
  #learns(channel: Channel, head: Position): Position {
    const { known, handed } = channel;
    // A delivery of the next log may have overtaken the answer of the one before.
    if (lifeOf(head.epoch) < lifeOf(handed.epoch)) return handed;
    const { epoch } = head;
    if (handed.epoch === epoch) channel.known = true;
    else if (known) this.#begins(channel, this.#world.random.pick([head, { epoch, offset: 0 }]));
    return head;
  }

  /** The node steps into the next life of a log. */
  #begins(channel: Channel, until: Position): void {
    channel.stale = 0;
    if (channel.known) this.#skip(channel, "epoch_changed", until);
    else channel.hands(until);
  }

  #skip(channel: Channel, reason: LogGap["reason"], until: Position): void {
    const gap = { reason, after: channel.handed, until };
    this.#world.note(`broker: ${channel.name} has a gap ${reason} until ${JSON.stringify(until)}`);
    channel.hands(until);
    channel.gaps.push(gap);
    this.#handler?.gap(channel.name, gap);
  }

  #tell(channel: Channel): void {
    const { name, epoch, changes, told } = channel;
    const { random } = this.#world;
    if (random.chance(0.1)) {
      const snapshot = channel.snapshot(1_000);
      channel.changes = [];
      told.push({ lost: snapshot });
      channel.toldGeneration = snapshot.generation;
      this.#world.note(`broker: presence of ${name} was lost before ${snapshot.generation}`);
      this.#handler?.presenceLost(name, epoch, snapshot);
      return;
    }
    const some = changes.splice(0, 1 + random.int(changes.length));
    told.push(...some);
    channel.toldGeneration = some.at(-1)?.generation ?? 0;
    this.#world.note(`broker: tells presence of ${name} up to ${channel.toldGeneration}`);
    this.#handler?.presence(name, epoch, some);
  }

  #hand(
    channel: Channel,
    epoch: string,
    log: readonly Logged[],
    reached: number,
    until: number,
  ): void {
    let end = Math.min(reached + 1 + this.#world.random.int(4), until);
    // An entry that only some can carry comes alone, so that nothing around it is lost with it.
    const odd = log.slice(reached, end).findIndex(({ onlyProtobuf }) => onlyProtobuf);
    if (odd >= 0) end = reached + Math.max(odd, 1);
    const entries = log.slice(reached, end).map(({ entry }) => entry);
    if (channel.registered) channel.known = true;
    channel.hands({ epoch, offset: end });
    this.#world.handing(channel, reached, channel.handed);
    this.#handler?.publications(channel.name, epoch, entries);
  }
}

type Work<T> = (fails: boolean) => {
  /** What comes back. */
  readonly arrives: () => { readonly value: T; readonly outcome: Outcome };
  /** Of a failure. */
  readonly code?: string;
};

export function eventIdOf({ event }: Pick<EntryBody, "event">): string {
  return fromBinary(CloudEventSchema, event).id;
}
