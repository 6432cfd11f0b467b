/**
 * A node under a random life: every kind of frame at every moment, backends and a broker that answer
 * when they like or never, clocks that jump, connections that are lost, a node that sleeps.
 */
import { create } from "@bufbuild/protobuf";
import { Engine } from "../../../src/engine/engine.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../../src/engine/settings/settings.ts";
import { CloudEventSchema } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { InboundMessageSchema } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SeededRandom } from "../../support/random.ts";
import { unawaited } from "../../support/unawaited.ts";
import { FLAW, ScriptedBackends } from "./backends.ts";
import { CHANNELS, ScriptedBroker } from "./broker.ts";
import type { Channel } from "./channel.ts";
import { BAD_CHANNELS, check } from "./facts.ts";
import { ClockTimers, Connection } from "./host.ts";
import { SessionModel } from "./model.ts";
import { anyRules, narrowSettings } from "./settings.ts";
import { checkMemory, checkRecord } from "./sleep.ts";
import { Clients } from "./talk.ts";
import { Witness } from "./witness.ts";

/** Sessions at a time. */
const SESSIONS = 6;

/** The node, its clients and all that happens to them, in the hand of a random generator. */
export class ScriptedWorld extends Witness {
  readonly maxUnheardBytes: number;
  readonly settings: Settings;
  readonly calm: boolean;
  readonly asks: { authenticate: boolean; authorize: boolean; rpc: boolean };
  readonly broker = new ScriptedBroker(this);
  readonly timers = new ClockTimers(this.clock);
  engine: Engine;
  /** Counts of this engine's life that earlier ones have no part in. */
  #droppedBefore = 0;
  readonly #clients: Clients;
  readonly #backends: ScriptedBackends;

  constructor(random: SeededRandom, seen: Set<string>) {
    super(random, seen);
    const often = () => random.chance(0.7);
    this.asks = { authenticate: often(), authorize: often(), rpc: often() };
    this.calm = random.chance(0.5);
    this.maxUnheardBytes = this.calm ? 1_000_000 : random.pick([8_000, 1_000_000]);
    const tight = !this.calm && random.chance(0.35);
    const narrow = this.calm ? {} : narrowSettings(random, tight);
    this.settings = { ...DEFAULT_SETTINGS, ...narrow, rules: anyRules(random) };
    // Which bytes are under way between two frames of one moment is nobody's business.
    this.#clients = new Clients(this, tight ? 1 : 5);
    this.#backends = new ScriptedBackends(this);
    this.engine = this.#wake();
  }

  /** Something random happens, and everything that follows from it. */
  async step(): Promise<void> {
    const alive = this.connections.filter((connection) => connection.alive).length;
    if (alive < 2 || (alive < SESSIONS && this.random.chance(0.1))) this.#accept();
    const deed = this.random.next();
    if (deed < 0.5) this.#clients.speak(this.#someone());
    else if (deed < 0.62) this.#backends.settleOne();
    else if (deed < 0.79) this.#moveChannels();
    else if (deed < 0.81) this.#changeSubscriptions();
    else if (deed < 0.86) this.#passTime();
    else if (deed < 0.865) this.#heartbeat();
    else if (deed < 0.88) this.#clients.spendCredit();
    else if (deed < 0.93) this.#survey();
    else if (deed < 0.94) this.#endOne(this.#someone());
    else if (deed < 0.945) this.#clients.flood();
    else if (deed < 0.98) this.#publishElsewhere();
    else if (deed < 0.987) await this.#quiesce();
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

  /** Nearly always one that is alive. */
  #someone(): Connection {
    const alive = this.connections.filter((connection) => connection.alive);
    const among = alive.length > 0 && this.random.chance(0.95) ? alive : this.connections;
    return this.random.pick(among);
  }

  #wake(): Engine {
    return new Engine({
      broker: this.broker,
      clock: this.clock,
      random: { uuid: () => this.id("uuid") },
      logger: { warn: () => {} },
      timers: this.timers,
      // All that follows from something happens before the test looks.
      nextTurn: queueMicrotask,
      capabilities: {
        name: "world",
        bidirectionalStreams: false,
        grpc: false,
        observesBackpressure: false,
        slowsSenders: false,
        freeHeartbeat: true,
        keepsLifecycleEvents: false,
        keepsRevocations: false,
      },
      backends: this.#backends.backends,
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

  #moveChannels(): void {
    const channels = [...this.broker.channels.values()];
    for (let i = this.random.int(4); i >= 0; i--) {
      const able = channels.filter((channel) => this.broker.able(channel));
      if (able.length > 0) this.broker.move(this.random.pick(able));
    }
  }

  #publishElsewhere(): void {
    const { random } = this;
    const channel = random.pick([...this.broker.channels.values()]);
    const deed = random.next();
    if (deed < 0.5) {
      const odd = random.chance(0.2);
      for (let i = random.int(4); i >= 0; i--) this.broker.publishFar(channel, odd);
    } else if (deed < 0.63) this.broker.moveFar(channel);
    else if (deed < 0.87) this.#trim(channel);
    else this.#lose(channel);
  }

  /** What is trimmed may not have been delivered yet. */
  #trim(channel: Channel): void {
    const { random } = this;
    const { life, name } = channel;
    for (let i = random.int(4); i > 0; i--) this.broker.publishFar(channel, false);
    const until = life.log.length - random.int(2);
    life.trim(until, random.pick(["head_trimmed", "expired"]));
    this.note(`${name} is trimmed up to ${life.trimmed}`);
  }

  #lose(channel: Channel): void {
    channel.lose(this.random.chance(0.5));
    this.note(`${channel.name} is lost, and is now ${channel.epoch}`);
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

  /** Of a client that is told: what becomes of another's subscriptions, and when, nobody hears. */
  #changeSubscriptions(): void {
    const { random } = this;
    const able = this.connections.filter(
      ({ alive, model }) =>
        alive && model.state === "connected" && model.capabilities.includes("control"),
    );
    if (able.length === 0) return;
    // What becomes of names that a session has no room for is shown by tests of its own.
    const roomy = this.settings.maxSubscriptions > CHANNELS.length + BAD_CHANNELS.length;
    const kind = roomy ? random.pick(["subscribe", "unsubscribe"] as const) : "unsubscribe";
    const subscriptions = Array.from({ length: 1 + random.int(4) }, () => ({
      channel: random.pick(random.chance(0.9) ? CHANNELS : BAD_CHANNELS),
    }));
    const id = this.id("change");
    const envelope = { case: kind, value: { subscriptions } } as const;
    this.change(this.engine, random.pick(able), create(InboundMessageSchema, { id, envelope }));
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
    const may = connected
      .filter(({ requests }) => requests.joining.has(channel))
      .map(({ id }) => id);
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
      const clean = random.chance(0.5);
      model.ends(clean);
      session?.end(clean);
      if (random.chance(0.3)) session?.end(!clean);
      return;
    }
    const code = random.pick([3503, 3512, 3000, 4001]);
    const open = model.state !== "closed";
    model.doom(code);
    const reason = code === 4001 ? "own reason" : undefined;
    // It takes effect at once; only its answer comes later.
    const disconnecting = this.engine.disconnect(model.id, code, reason);
    unawaited(disconnecting.then((found) => check(found === open, "disconnect finds another one")));
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
    check(this.receiving.size === 0, "receive does not return");
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
    checkMemory(this.connections, this.broker.channels.values());
    if (this.random.chance(0.3)) this.#lose(this.random.pick([...this.broker.channels.values()]));
    this.engine = this.#wake();
    for (const connection of this.connections) {
      const { model, record: saved, marks, session } = connection;
      if (!connection.alive || saved === undefined || session === undefined) continue;
      checkRecord(connection);
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

  /** Waits until nothing moves by itself, and compares. */
  async #settled(): Promise<void> {
    await new Promise(setImmediate);
    this.complain();
    const { engine, broker } = this;
    let [sessions, openCalls, subscriptions] = [0, 0, 0];
    for (const { model, session } of this.connections) {
      model.settled();
      if (model.state === "closed") continue;
      sessions += 1;
      openCalls += model.requests.openCalls;
      subscriptions += session?.channels.length ?? 0;
      check(session?.connected === (model.state === "connected"), `${model.id} is ${model.state}`);
      check(engine.session(model.id) === session, `${model.id} is not the engine's`);
      const { joining } = model.requests;
      const held = session.channels.filter((name) => !joining.has(name)).sort();
      const wanted = [...model.streams.keys()].filter((name) => !joining.has(name)).sort();
      check(`${held}` === `${wanted}`, `${model.id} is subscribed to ${held}, not ${wanted}`);
      for (const name of model.streams.keys()) {
        check(broker.channel(name).registered, `${name} does not know that it is wanted`);
      }
      this.members.settled(model, this.settings.rules);
    }
    this.members.alive(this.connections.flatMap(({ alive, model }) => (alive ? [model.id] : [])));
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
    for (const name of broker.wanted)
      check(engine.hub.hasDirectSubscriber(name), `${name} is wanted by nobody`);
    this.#backends.settled();
  }
}
