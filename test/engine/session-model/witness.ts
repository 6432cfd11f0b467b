/**
 * Sees what passes between a node and the world around it, and feeds the models with it. What a model
 * objects to inside a call of the engine's is thrown when the engine is done.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { MemberSession } from "../../../src/channels/presence.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import type { Position, PublishCommand } from "../../../src/engine/ports/broker.ts";
import type { Settings } from "../../../src/engine/settings/settings.ts";
import type { Frame } from "../../../src/protocol/codec.ts";
import type { InboundMessage } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SeededRandom } from "../../support/random.ts";
import type { ScriptedBroker } from "./broker.ts";
import type { Channel } from "./channel.ts";
import { type Asked, type Call, check, type Outcome, type World } from "./facts.ts";
import { type Connection, show } from "./host.ts";
import { MembersModel } from "./members.ts";
import type { SessionModel } from "./model.ts";
import { SurveysModel } from "./surveys.ts";

export abstract class Witness implements World {
  readonly random: SeededRandom;
  /** Outcomes that the whole run has had. */
  readonly seen: Set<string>;
  readonly history: string[] = [];
  readonly clock = { time: 1_000_000, now: () => this.clock.time };
  readonly surveys = new SurveysModel();
  readonly members = new MembersModel();
  /** In the order of their arrival, with those that have ended. */
  readonly connections: Connection[] = [];
  abstract readonly settings: Settings;
  abstract readonly calm: boolean;
  abstract readonly maxUnheardBytes: number;
  abstract readonly asks: World["asks"];
  abstract readonly broker: ScriptedBroker;
  /** Frames whose `receive` has not returned. */
  protected readonly receiving = new Set<string>();
  #ids = 0;
  /** What went wrong inside the engine's calls, which must not swallow it. */
  #violation: unknown;
  /** Of all that was published. */
  readonly #keys = new Set<string>();
  readonly #speaker = new AsyncLocalStorage<SessionModel>();

  constructor(random: SeededRandom, seen: Set<string>) {
    this.random = random;
    this.seen = seen;
  }

  id(prefix: string): string {
    this.#ids += 1;
    return `${prefix}-${this.#ids}`;
  }

  note(line: string, outcome?: string): void {
    this.history.push(line);
    if (outcome !== undefined) this.seen.add(outcome);
  }

  /** Runs a check inside a call of the engine's; what it throws is thrown when the engine is done. */
  guard<T>(body: () => T): T | undefined {
    try {
      return body();
    } catch (error) {
      this.#violation ??= error;
      return undefined;
    }
  }

  channel(name: string): Channel {
    return this.broker.channel(name);
  }

  /** Any place of a channel, mostly one that there is or was. */
  place(name: string): Position {
    const { random } = this;
    const { lives } = this.channel(name);
    const { epoch, log } = random.pick(random.chance(0.8) ? lives.slice(-1) : lives);
    if (random.chance(0.1)) return { epoch: "", offset: 1 };
    return { epoch, offset: random.int(log.length + 2) };
  }

  handing(channel: Channel, after: number, until: Position): void {
    this.note(`broker: hands ${channel.name} up to ${until.epoch} ${until.offset}`);
    for (const { model } of this.connections) model.streams.cannotCarry(channel.name, after + 1);
  }

  queries(kind: "register" | "seen" | "history" | "presence", channel: string): Asked {
    const speaker = this.#speaker.getStore();
    // A node that wakes looks what it knows.
    if (kind === "seen" && speaker === undefined) return undefined;
    return this.asked(speaker?.id, (model) => {
      if (kind === "history") return model.reads(channel);
      if (kind === "presence") return model.asksPresence(channel);
      return model.registers(channel, kind);
    });
  }

  joins(channel: string, session: MemberSession): Asked {
    return this.asked(session.sessionId, (model) => {
      this.note(`${model.id} joins ${channel}`);
      check(session.userId === model.userId, `joins as ${session.userId}`);
      check(session.clientId === model.clientId, `joins as the client ${session.clientId}`);
      this.members.joins(channel, model.id);
      return model.registers(channel, "join");
    });
  }

  leaves(channel: string, sessionId: string, clean: boolean): void {
    this.note(`${sessionId} ${clean ? "leaves" : "drops out of"} ${channel}`);
    this.guard(() => {
      this.members.leaves(channel, sessionId);
      const model = this.byId(sessionId)?.model;
      check(model !== undefined, "nobody leaves");
      model.leaves(channel, clean);
    });
  }

  published(channel: string, { key, body }: PublishCommand): Asked {
    const { publisher, metadata } = body;
    const sessionId = publisher?.sessionId;
    const id = metadata["frame"] ?? "";
    // A publish that waited for its turn when its session ended may go ahead or not.
    if (this.byId(sessionId)?.model.leftPublish(id)) return undefined;
    return this.asked(sessionId, (model) => {
      const request = model.request(id);
      check(`${request?.lanes}` === channel, `${id} is published to ${channel}`);
      check(publisher?.userId === model.userId, `${id} is published by ${publisher?.userId}`);
      check(publisher.clientId === model.clientId, `${id} is published by another client`);
      const expected = request && model.publishKey(request);
      const own = key.startsWith("uuid-") && !this.#keys.has(key);
      check(expected === undefined ? own : key === expected, `${id} is published as ${key}`);
      this.#keys.add(key);
      return model.asks("publish", request);
    });
  }

  /** A backend or the broker is asked something for a session. */
  asked(sessionId: string | undefined, ask: (model: SessionModel) => Call): Asked {
    return this.guard(() => {
      const model = this.byId(sessionId)?.model;
      check(model !== undefined, "something is asked for no session");
      check(model.state !== "closed", "something is asked for a session that has ended");
      return { model, call: ask(model) };
    });
  }

  answer(asked: Asked, outcome: Outcome): void {
    if (asked !== undefined) this.guard(() => asked.model.answers(asked.call, outcome));
  }

  /** Throws what a model has objected to. */
  protected complain(): void {
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** A client sends a frame, which is a message or not. */
  transmit(connection: Connection, frame: Frame, message?: InboundMessage): void {
    const { model, session } = connection;
    const size = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
    this.note(`${model.id} -> ${show(frame)}`);
    const underWay = model.sends(message, size);
    const id = this.id("frame");
    this.receiving.add(id);
    this.#speaker
      .run(model, async () => session?.receive(frame))
      .then(
        () => {
          this.receiving.delete(id);
          if (underWay) model.openBytes -= size;
        },
        (error: unknown) => {
          this.#violation ??= new Error(`receive rejects: ${error}`);
        },
      );
  }

  /** The server's side subscribes a session, or ends its subscriptions, and tells it. */
  change(engine: Engine, { model }: Connection, message: InboundMessage): void {
    const { id, envelope } = message;
    if (envelope.case !== "subscribe" && envelope.case !== "unsubscribe") return;
    const { case: kind, value } = envelope;
    const channels = value.subscriptions.map(({ channel }) => channel);
    this.note(`the server's side: ${kind} ${model.id} ${JSON.stringify(channels)}`);
    model.changes(message);
    this.receiving.add(id);
    this.#speaker
      .run(model, async () =>
        kind === "subscribe"
          ? (await engine.subscribe(model.id, channels)).results
          : await engine.unsubscribe(model.id, channels),
      )
      .then(
        (results) => {
          this.receiving.delete(id);
          const named = Object.keys(results).sort();
          const same = `${named}` === `${[...new Set(channels)].sort()}`;
          this.guard(() => check(same, `the result names ${named}`));
        },
        (error: unknown) => {
          this.#violation ??= new Error(`${kind} from the server's side rejects: ${error}`);
        },
      );
  }

  protected byId(id: string | undefined): Connection | undefined {
    return this.connections.find(({ model }) => model.id === id);
  }
}
