/**
 * A cluster of channels whose every part takes as long as the test likes: calls on their way to a
 * channel, answers on their way back, deliveries. It keeps to the contract in ports.ts.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  Broker,
  BrokerHandler,
  Position,
  PublishCommand,
  PublishResult,
} from "../../src/engine/ports.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type Entry,
  type EntryBody,
  EntryBodySchema,
  EntrySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { SeededRandom } from "../random.ts";
import { type Asked, check, type Outcome } from "./session-model-facts.ts";

export const CHANNELS: readonly string[] = ["a", "b.c", "d", "\u00e4.\u{1f600}"];

/** Who is told what the broker is asked, answers and delivers. */
export interface Witness {
  readonly random: SeededRandom;
  readonly clock: { readonly time: number };
  note(line: string): void;
  /** The session that runs now asks where a channel stands. */
  askedBySpeaker(channel: string): Asked;
  published(channel: string, body: EntryBody): Asked;
  answer(asked: Asked, outcome: Outcome): void;
  handing(channel: Channel): void;
}

/** One channel, from its log to the node. */
export class Channel {
  readonly name: string;
  life = 1;
  log: { readonly entry: Entry; readonly event: string; readonly onlyProtobuf: boolean }[] = [];
  /** Whether the channel knows of the node. */
  registered = false;
  /** Unsubscribing goes past what is on its way, and makes it void. */
  registration = 0;
  /** Whether this life of the node was handed anything or told where it stands. */
  known = false;
  handed: Position;
  /** Entries up to here may still arrive after unsubscribing. */
  straggling = 0;
  /** Calls on their way to the channel, which keep their order. */
  readonly calls: (() => void)[] = [];
  /** Answers on their way back, which do not. */
  readonly answers: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
    this.handed = { epoch: this.epoch, offset: 0 };
  }

  get epoch(): string {
    return `epoch${this.life}`;
  }

  get head(): Position {
    return { epoch: this.epoch, offset: this.log.length };
  }

  /** The last place of this epoch that the node was handed. */
  get reached(): number {
    return this.handed.epoch === this.epoch ? this.handed.offset : 0;
  }

  append(body: EntryBody, event: string, time: number, onlyProtobuf = false): Position {
    const offset = BigInt(this.log.length + 1);
    const entry = create(EntrySchema, { offset, time: BigInt(time), body });
    this.log.push({ entry, event, onlyProtobuf });
    return this.head;
  }
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

  subscribe(name: string): Promise<Position> {
    const { random } = this.#world;
    const channel = this.channel(name);
    const call = this.#world.askedBySpeaker(name);
    this.wanted.add(name);
    const { registration } = channel;
    return new Promise((resolve, reject) => {
      channel.calls.push(() => {
        const fails = random.chance(0.06);
        const position = channel.head;
        // A call whose outcome is unknown may have registered the node.
        if (registration === channel.registration && (!fails || random.chance(0.5))) {
          const fresh = !channel.registered;
          channel.registered = true;
          if (fresh && (channel.straggling === 0 || random.chance(0.5))) channel.handed = position;
          channel.straggling = 0;
        }
        channel.answers.push(() => {
          if (!fails && registration === channel.registration) channel.known = true;
          this.#world.answer(call, fails ? { error: "UNAVAILABLE" } : { position });
          if (fails) reject(new MessagingError("UNAVAILABLE", "no answer"));
          else resolve(position);
        });
      });
    });
  }

  unsubscribe(name: string): void {
    const channel = this.channel(name);
    this.#world.note(`${name} is left by all`);
    this.wanted.delete(name);
    if (channel.registered && this.#world.random.chance(0.5)) {
      channel.straggling = channel.log.length;
    }
    channel.registered = false;
    channel.registration += 1;
    channel.known = false;
  }

  publish(name: string, { body }: PublishCommand): Promise<PublishResult> {
    const { random, clock } = this.#world;
    const channel = this.channel(name);
    const call = this.#world.published(name, body);
    return new Promise((resolve, reject) => {
      channel.calls.push(() => {
        const error = random.chance(0.06) ? random.pick(["UNAVAILABLE", "RATE_LIMITED"]) : "";
        const event = eventIdOf(body);
        // UNAVAILABLE says nothing of whether the entry is in the log.
        const appended = error === "" || (error === "UNAVAILABLE" && random.chance(0.5));
        const position = appended ? channel.append(body, event, clock.time) : channel.head;
        channel.answers.push(() => {
          this.#world.answer(call, error === "" ? { position } : { error });
          if (error === "") resolve({ position, duplicate: false });
          else reject(new MessagingError(error, "no", { metadata: { retry_after_ms: 7 } }));
        });
      });
    });
  }

  seen(name: string): Position | undefined {
    const channel = this.channel(name);
    if (!channel.registered || !channel.known) return undefined;
    const position = channel.handed;
    const { epoch, offset } = channel.head;
    const behind = position.epoch !== epoch || position.offset < offset;
    this.#world.answer(this.#world.askedBySpeaker(name), { position, behind });
    return position;
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

  #moves(channel: Channel): (() => void)[] {
    const { calls, answers, reached } = channel;
    const until = channel.registered ? channel.log.length : channel.straggling;
    const answer = () => answers.splice(this.#world.random.int(answers.length), 1)[0]?.();
    const call = () => calls.shift()?.();
    // Deliveries are the slowest, so that calls overtake them.
    return [
      ...(calls.length > 0 ? [call, call, call] : []),
      ...(answers.length > 0 ? [answer, answer, answer] : []),
      ...(reached < until ? [() => this.#hand(channel, reached, until)] : []),
    ];
  }

  /** Another node publishes; what is odd, JSON cannot carry: a year of five digits. */
  publishFar(channel: Channel, odd: boolean): void {
    const attr = { case: "ceTimestamp" as const, value: { seconds: 253_402_300_800n } };
    const id = `far-${channel.log.length}`;
    const attributes = odd ? { time: { attr } } : {};
    const data = { case: "textData" as const, value: "x".repeat(this.#world.random.int(2_000)) };
    const event = { source: "/far", type: "t", specVersion: "1.0", id, attributes, data };
    const bytes = toBinary(CloudEventSchema, create(CloudEventSchema, event));
    const body = create(EntryBodySchema, { event: bytes, publisher: { sessionId: "far" } });
    channel.append(body, id, this.#world.clock.time, odd);
  }

  /** The channel loses its log, and what was on the way with it. */
  lose(channel: Channel): void {
    channel.life += 1;
    channel.log = [];
    channel.straggling = 0;
  }

  #hand(channel: Channel, reached: number, until: number): void {
    let end = Math.min(reached + 1 + this.#world.random.int(4), until);
    // An entry that only some can carry comes alone, so that nothing around it is lost with it.
    const odd = channel.log.slice(reached, end).findIndex(({ onlyProtobuf }) => onlyProtobuf);
    if (odd >= 0) end = reached + Math.max(odd, 1);
    const entries = channel.log.slice(reached, end).map(({ entry }) => entry);
    if (channel.registered) channel.known = true;
    channel.handed = { epoch: channel.epoch, offset: end };
    this.#world.handing(channel);
    this.#handler?.publications(channel.name, channel.epoch, entries);
  }
}

export function eventIdOf({ event }: Pick<EntryBody, "event">): string {
  return fromBinary(CloudEventSchema, event).id;
}
