/**
 * A node under a random life: every kind of frame at every moment, backends and a broker that answer
 * when they like or never, clocks that jump, connections that are lost, a node that sleeps.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { create } from "@bufbuild/protobuf";
import { Engine } from "../../src/engine/engine.ts";
import type { Position } from "../../src/engine/ports.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/engine/settings.ts";
import type { Frame } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { EntryBody } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { InboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SeededRandom } from "../random.ts";
import { SessionModel } from "./session-model.ts";
import { FLAW, ScriptedBackends } from "./session-model-backends.ts";
import { CHANNELS, type Channel, eventIdOf, ScriptedBroker } from "./session-model-broker.ts";
import { RandomFrames } from "./session-model-clients.ts";
import { type Asked, type Call, check, type Outcome, type World } from "./session-model-facts.ts";
import { ClockTimers, Connection, show } from "./session-model-host.ts";
import { SurveysModel } from "./session-model-surveys.ts";

/** Sessions at a time. */
const SESSIONS = 6;

/** The node, its clients and all that happens to them, in the hand of a random generator. */
export class ScriptedWorld implements World {
  readonly random: SeededRandom;
  readonly seen: Set<string>;
  readonly history: string[] = [];
  readonly clock = { time: 1_000_000, now: () => this.clock.time };
  readonly settings: Settings;
  readonly maxUnheardBytes: number;
  readonly calm: boolean;
  readonly asks: { authenticate: boolean; authorize: boolean; rpc: boolean };
  readonly surveys = new SurveysModel();
  readonly broker = new ScriptedBroker(this);
  readonly timers = new ClockTimers(this.clock);
  engine: Engine;
  /** In the order of their arrival, with those that have ended. */
  readonly connections: Connection[] = [];
  /** Frames whose `receive` has not returned. */
  readonly #receiving = new Set<string>();
  #ids = 0;
  /** What went wrong inside the engine's calls, which must not swallow it. */
  #violation: unknown;
  /** Counts of this engine's life that earlier ones have no part in. */
  #droppedBefore = 0;
  readonly #speaker = new AsyncLocalStorage<SessionModel>();
  readonly #frames = new RandomFrames(this);
  readonly #backends: ScriptedBackends;
  readonly #burst: number;

  constructor(random: SeededRandom, seen: Set<string>) {
    this.random = random;
    this.seen = seen;
    const often = () => random.chance(0.7);
    this.asks = { authenticate: often(), authorize: often(), rpc: often() };
    this.calm = random.chance(0.5);
    this.maxUnheardBytes = this.calm ? 1_000_000 : random.pick([8_000, 1_000_000]);
    const tight = !this.calm && random.chance(0.35);
    this.settings = { ...DEFAULT_SETTINGS, ...(this.calm ? {} : this.#narrowSettings(tight)) };
    // Which bytes are under way between two frames of one moment is nobody's business.
    this.#burst = tight ? 1 : 5;
    this.#backends = new ScriptedBackends(this);
    this.engine = this.#wake();
  }

  #narrowSettings(tight: boolean): Partial<Settings> {
    const { random } = this;
    return {
      maxSubscriptions: random.pick([2, 3, 1_000]),
      maxInFlightRpcs: random.pick([1, 3, 32]),
      maxErrors: random.pick([1, 4, 100]),
      publishesPerSecond: random.pick([0, 0, 1, 3]),
      publishBurst: 2,
      creditBytes: random.pick([4_000, 4_000, 1_000_000]),
      maxOpenRequestBytes: tight ? 400 : 4_000_000,
      maxMessageBytes: random.pick([2_000, 65_536]),
      idleTimeoutMs: random.pick([20_000, 300_000, 300_000]),
      authTimeoutMs: random.pick([5_000, 15_000]),
      rpcTimeoutMs: random.pick([3_000, 30_000]),
      disabledMessages: random.pick([
        [],
        [],
        [],
        ["rpc_request"],
        ["subscribe"],
        ["publish", "survey_response"],
        ["unsubscribe", "sub_refresh", "survey_request"],
      ]),
    };
  }

  /** Something random happens, and everything that follows from it. */
  async step(): Promise<void> {
    const alive = this.connections.filter((connection) => connection.alive).length;
    if (alive < 2 || (alive < SESSIONS && this.random.chance(0.1))) this.#accept();
    const deed = this.random.next();
    if (deed < 0.5) this.#speak(this.#someone());
    else if (deed < 0.62) this.#backends.settleOne();
    else if (deed < 0.8) this.#moveChannels();
    else if (deed < 0.86) this.#passTime();
    else if (deed < 0.865) this.#heartbeat();
    else if (deed < 0.88) this.#spendCredit();
    else if (deed < 0.93) this.#survey();
    else if (deed < 0.94) this.#endOne(this.#someone());
    else if (deed < 0.945) this.#flood();
    else if (deed < 0.975) this.#publishElsewhere();
    else if (deed < 0.985) await this.#quiesce();
    else await this.#sleep();
    await this.#settled();
  }

  /** Everybody goes, and nothing of them remains. */
  async end(): Promise<void> {
    if (this.random.chance(0.5)) await this.#quiesce();
    for (const connection of this.connections) this.#endOne(connection);
    await this.#settled();
    await this.#quiesce();
    const { sessions, subscriptions, channels, openCalls, openSurveys } = this.engine.stats();
    const left = `${[sessions, subscriptions, channels, openCalls, openSurveys]}`;
    check(left === "0,0,0,0,0", `sessions, subscriptions, channels, calls, surveys: ${left} left`);
    check(this.engine.hub.size === 0, "the hub is not empty");
    check(this.broker.wanted.size === 0, `${[...this.broker.wanted]} are wanted by nobody`);
    this.clock.time += 2_000;
    this.timers.fire();
    check(this.timers.size === 0, "timers are left");
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

  logged(name: string, { epoch, offset }: Position) {
    const channel = this.broker.channel(name);
    return epoch === channel.epoch ? channel.log[offset - 1] : undefined;
  }

  handed(name: string): Position | undefined {
    return this.broker.channel(name).handed;
  }

  handing(channel: Channel): void {
    this.note(`broker: hands ${channel.name} up to ${channel.handed.offset}`);
    for (const { model } of this.connections) model.cannotCarry(channel.name, channel.handed);
  }

  askedBySpeaker(channel: string): Asked {
    const speaker = this.#speaker.getStore();
    return this.asked(speaker?.id, (model) =>
      model.asks(`register ${channel}`, model.joiner(channel)),
    );
  }

  published(channel: string, { event, publisher }: EntryBody): Asked {
    const sessionId = publisher?.sessionId;
    const id = eventIdOf({ event });
    // A publish that waited for its turn when its session ended may go ahead or not.
    if (this.#byId(sessionId)?.model.leftPublish(id)) return undefined;
    return this.asked(sessionId, (model) => {
      const request = model.request(id);
      check(`${request?.lanes}` === channel, `${id} is published to ${channel}`);
      check(publisher?.userId === model.userId, `${id} is published by ${publisher?.userId}`);
      check(publisher.clientId === model.clientId, `${id} is published by another client`);
      return model.asks("publish", request);
    });
  }

  /** A backend or the broker is asked something for a session. */
  asked(sessionId: string | undefined, ask: (model: SessionModel) => Call): Asked {
    return this.guard(() => {
      const model = this.#byId(sessionId)?.model;
      check(model !== undefined, "something is asked for no session");
      check(model.state !== "closed", "something is asked for a session that has ended");
      return { model, call: ask(model) };
    });
  }

  answer(asked: Asked, outcome: Outcome): void {
    if (asked !== undefined) this.guard(() => asked.model.answers(asked.call, outcome));
  }

  /** Nearly always one that is alive. */
  #someone(): Connection {
    const alive = this.connections.filter((connection) => connection.alive);
    const among = alive.length > 0 && this.random.chance(0.95) ? alive : this.connections;
    return this.random.pick(among);
  }

  #byId(id: string | undefined): Connection | undefined {
    return this.connections.find(({ model }) => model.id === id);
  }

  id(prefix: string): string {
    this.#ids += 1;
    return `${prefix}-${this.#ids}`;
  }

  #wake(): Engine {
    return new Engine({
      broker: this.broker,
      clock: this.clock,
      random: { uuid: () => this.id("uuid") },
      logger: { warn: () => {} },
      timers: this.timers,
      capabilities: {
        name: "world",
        bidirectionalStreams: false,
        grpc: false,
        observesBackpressure: false,
        freeHeartbeat: true,
      },
      proxy: this.#backends.proxy,
      maxUnheardBytes: this.maxUnheardBytes,
      settings: this.settings,
    });
  }

  #accept(): void {
    const encoding = this.random.pick(["json", "proto"] as const);
    const model = new SessionModel(this, this.id("session"), encoding);
    const connection = new Connection(this, model);
    connection.session = this.engine.accept(connection, model.id, encoding);
    connection.record = connection.session.record();
    this.connections.push(connection);
    this.note(`${model.id} (${encoding}) arrives`);
  }

  // What clients say.

  #speak(connection: Connection): void {
    const count = this.random.chance(0.3) ? 1 + this.random.int(this.#burst) : 1;
    for (let i = 0; i < count; i++) this.#say(connection);
  }

  #say(connection: Connection): void {
    const { random } = this;
    const { model } = connection;
    const again = this.calm ? 0.001 : 0.015;
    const connects = random.chance(model.state === "new" ? 0.9 : again);
    const longest = random.chance(this.calm ? 0.001 : 0.01);
    if (random.chance(this.calm ? 0.02 : 0.06)) this.#transmit(connection, this.#frames.noise());
    else if (longest) this.#send(connection, this.#frames.ping(this.settings.maxMessageBytes));
    else this.#send(connection, connects ? this.#frames.connect() : this.#frames.any(model));
  }

  /** A client asks for a pong that uses up its credit to the last byte, or exceeds it by one. */
  #spendCredit(): void {
    const idle = this.connections.filter(({ model }) => model.state === "connected" && !model.busy);
    const connection = idle.find(({ model }) => model.flow.credit);
    if (connection === undefined) return;
    const { flow, encoding } = connection.model;
    if (this.random.chance(0.5)) this.#send(connection, this.#frames.received(flow.sent));
    const left = this.settings.creditBytes - (flow.sent - flow.received);
    const ping = this.#frames.pingFor(encoding, left + this.random.pick([0, 1]));
    if (ping === undefined) return;
    // To have received less than before means nothing.
    if (this.random.chance(0.3)) this.#send(connection, this.#frames.received(0));
    this.#send(connection, ping);
  }

  /** Many frames at once, for the bounds of those behind connect. */
  #flood(): void {
    const waiting = this.connections.filter(({ model }) => model.state === "connecting");
    if (waiting.length === 0) return;
    const connection = this.random.pick(waiting);
    const long = this.settings.maxMessageBytes > 60_000 && this.random.chance(0.5);
    const count = long ? 3 + this.random.int(3) : 62 + this.random.int(5);
    for (let i = 0; i < count; i++) this.#send(connection, this.#frames.ping(long ? 60_000 : 0));
  }

  #send(connection: Connection, message: InboundMessage): void {
    const frame = this.#frames.encode(message, connection.model.encoding);
    this.#transmit(connection, frame, message);
  }

  #transmit(connection: Connection, frame: Frame, message?: InboundMessage): void {
    const { model, session } = connection;
    const size = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
    this.note(`${model.id} -> ${show(frame)}`);
    const underWay = model.sends(message, size);
    const id = this.id("frame");
    this.#receiving.add(id);
    this.#speaker
      .run(model, async () => session?.receive(frame))
      .then(
        () => {
          this.#receiving.delete(id);
          if (underWay) model.openBytes -= size;
        },
        (error: unknown) => {
          this.#violation ??= new Error(`receive rejects: ${error}`);
        },
      );
  }

  // What else happens.

  #moveChannels(): void {
    const channels = [...this.broker.channels.values()];
    for (let i = this.random.int(4); i >= 0; i--) {
      const able = channels.filter((channel) => this.broker.able(channel));
      if (able.length > 0) this.broker.move(this.random.pick(able));
    }
  }

  #publishElsewhere(): void {
    const channel = this.random.pick([...this.broker.channels.values()]);
    if (this.random.chance(0.7)) {
      const odd = this.random.chance(0.2);
      for (let i = this.random.int(4); i >= 0; i--) this.broker.publishFar(channel, odd);
      return;
    }
    // What a node is told when the log is lost between two answers is not for this test.
    const quiet = channel.calls.length + channel.answers.length === 0;
    const joining = this.connections.some(({ model }) => model.joining.has(channel.name));
    if (quiet && !joining) this.broker.lose(channel);
  }

  #passTime(): void {
    const far = [5_000, 10_000, 19_999, 20_000, 60_000, 60_000, 60_000, 300_000];
    this.clock.time += this.random.chance(this.calm ? 0.95 : 0.7)
      ? this.random.int(2_500)
      : this.random.pick(far);
    this.note(`it is ${this.clock.time}`);
    const expiresFirst = this.random.chance(0.3);
    if (expiresFirst) this.#expire();
    for (const { model } of this.connections) model.expireCalls();
    this.surveys.expire(this.clock.time);
    this.timers.fire();
    if (!expiresFirst && this.random.chance(0.5)) this.#expire();
  }

  #expire(): void {
    const expiries = { connect: Infinity, idle: Infinity };
    for (const { model } of this.connections) {
      if (model.state === "closed") continue;
      const kind = model.state === "connected" ? "idle" : "connect";
      if (model.expiry <= this.clock.time) model.doom(kind === "idle" ? 3511 : 3502);
      else expiries[kind] = Math.min(expiries[kind], model.expiry);
    }
    const next = this.engine.expire();
    for (const kind of ["connect", "idle"] as const) {
      check((next[kind] ?? Infinity) === expiries[kind], `the next ${kind} is ${next[kind]}`);
    }
  }

  #heartbeat(): void {
    this.#someone().model.flow.heartbeat();
  }

  #survey(): void {
    const { random, clock } = this;
    const channel = random.pick(CHANNELS);
    const flawed = random.chance(0.1);
    const timeoutMs = random.pick([1_000, 5_000]);
    const question = create(CloudEventSchema, { attributes: flawed ? FLAW : {} });
    const models = flawed ? [] : this.connections.map(({ model }) => model);
    const must = models.filter(({ streams }) => streams.has(channel)).map(({ id }) => id);
    // Who is about to subscribe is asked or not.
    const connected = models.filter(({ state }) => state === "connected");
    const may = connected.filter(({ joining }) => joining.has(channel)).map(({ id }) => id);
    const id = this.surveys.begin(channel, clock.time + timeoutMs, { must, may }, () => {
      const outcome = this.engine.survey(channel, question, { timeoutMs });
      outcome.then(
        ({ answers, silent }) =>
          this.guard(() => {
            check(!flawed, "a flawed question is asked");
            const ids = answers.map(({ sessionId }) => sessionId);
            if (id !== undefined) this.surveys.outcome(id, ids, silent);
            else check(ids.length + silent.length === 0, "nobody was asked");
          }),
        (error: unknown) => this.guard(() => check(flawed, `a survey fails: ${error}`)),
      );
    });
    this.note(`survey ${id} of ${channel}`);
  }

  #endOne({ model, session }: Connection): void {
    const { random } = this;
    if (random.chance(0.5)) {
      this.note(`${model.id} is lost`, model.state === "closed" ? undefined : "lost");
      model.ends();
      session?.end();
      if (random.chance(0.3)) session?.end();
      return;
    }
    const code = random.pick([3503, 3512, 3000, 4001]);
    const open = model.state !== "closed";
    model.doom(code);
    const reason = code === 4001 ? "own reason" : undefined;
    check(this.engine.disconnect(model.id, code, reason) === open, "disconnect finds another one");
  }

  /** Everything that is open gets its answer. */
  async #quiesce(): Promise<void> {
    const channels = [...this.broker.channels.values()];
    let rounds = 0;
    for (let moved = true; moved; rounds++) {
      check(rounds < 1_000, "it never comes to rest");
      moved = this.#backends.busy;
      while (this.#backends.busy) this.#backends.settleOne();
      for (const channel of channels) {
        for (; this.broker.able(channel); moved = true) this.broker.move(channel);
      }
      await this.#settled();
    }
    for (const { model } of this.connections) check(!model.busy, `${model.id} is owed an answer`);
    check(this.#receiving.size === 0, "receive does not return");
  }

  /** The node sleeps and wakes: what a host has saved is all that is left. */
  async #sleep(): Promise<void> {
    await this.#quiesce();
    // Hosts sleep later than marks and surveys take.
    this.clock.time += 5_000;
    for (const { model } of this.connections) model.expireCalls();
    this.surveys.expire(this.clock.time);
    this.timers.fire();
    await this.#settled();
    await this.#quiesce();
    this.note("the node sleeps", "slept");
    this.timers.clear();
    this.#droppedBefore = this.surveys.dropped;
    this.engine = this.#wake();
    for (const connection of this.connections) {
      const { model, record: saved, marks, session } = connection;
      if (!connection.alive || saved === undefined || session === undefined) continue;
      this.#checkRecord(connection);
      connection.session = this.engine.restore(connection, { ...saved, ...(marks && { marks }) });
      // Nobody has saved when a connection began that has not connected.
      model.seen = marks === undefined ? this.clock.time : Number(marks.seen);
      // The last sign of life may not have been saved yet.
      model.flow.unheard = Math.max(model.flow.unheard, Number(marks?.unheard ?? 0));
      model.slept();
      check(connection.session.clientId === session.clientId, "another client wakes");
      check(connection.session.userId === model.userId, "another user wakes");
    }
  }

  #checkRecord({ model, record, marks, session }: Connection): void {
    const connected = model.state === "connected";
    check(record?.connected === connected, `the record says connected=${record?.connected}`);
    if (!connected) return;
    check(record.extended === model.extended, "the record has another kind");
    check(
      `${record.capabilities}` === `${model.capabilities}`,
      "the record has other capabilities",
    );
    const saved = new Set(record.subscriptions.map(({ channel }) => channel));
    for (const name of model.streams.keys()) check(saved.delete(name), `${name} is not recorded`);
    check(saved.size === 0, `${[...saved]} is recorded`);
    const { sent, received, unheard, seen } = session?.marks() ?? {};
    check(
      sent === BigInt(model.flow.sent) && received === BigInt(model.flow.received),
      "other sums",
    );
    const same = unheard === BigInt(model.flow.unheard) || model.flow.heardAt > 0;
    check(same, `${unheard} bytes are unheard of, not ${model.flow.unheard}`);
    check(marks?.sent === sent && marks?.received === received, "the sums are not saved");
    check(seen === BigInt(model.seen), "the last sign of life is another");
    check(Number(seen) - Number(marks.seen) < 15_000, "the mark of life is too old");
  }

  /** Waits until nothing moves by itself, and compares. */
  async #settled(): Promise<void> {
    await new Promise(setImmediate);
    if (this.#violation !== undefined) throw this.#violation;
    const { engine, broker } = this;
    let [sessions, openCalls, subscriptions] = [0, 0, 0];
    for (const { model, session } of this.connections) {
      model.settled();
      if (model.state === "closed") continue;
      sessions += 1;
      openCalls += model.openCalls;
      subscriptions += session?.channels.length ?? 0;
      check(session?.connected === (model.state === "connected"), `${model.id} is ${model.state}`);
      check(engine.session(model.id) === session, `${model.id} is not the engine's`);
      const { joining } = model;
      const held = session.channels.filter((name) => !joining.has(name)).sort();
      const wanted = [...model.streams.keys()].filter((name) => !joining.has(name)).sort();
      check(`${held}` === `${wanted}`, `${model.id} is subscribed to ${held}, not ${wanted}`);
      for (const name of model.streams.keys()) {
        check(broker.channel(name).registered, `${name} does not know that it is wanted`);
      }
    }
    this.surveys.settled();
    const stats = engine.stats();
    const counted = [sessions, subscriptions, openCalls, this.surveys.size];
    const told = [stats.sessions, stats.subscriptions, stats.openCalls, stats.openSurveys];
    check(
      `${told}` === `${counted}`,
      `sessions, subscriptions, calls, surveys: ${told} ${counted}`,
    );
    check(stats.droppedAnswers === this.surveys.dropped - this.#droppedBefore, "dropped answers");
    check(stats.channels === broker.wanted.size, `${[...broker.wanted]} are wanted of the broker`);
    for (const name of broker.wanted) check(engine.hub.has(name), `${name} is wanted by nobody`);
    this.#backends.settled();
  }
}
