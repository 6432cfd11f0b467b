/** Threads of one process without threads: their nodes over real ports, each with an engine, in one event loop. */
import { MessageChannel } from "node:worker_threads";
import { type ChannelRules, DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import type { Timers } from "../../src/engine/ports/platform.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { newMemory } from "../../src/threads/calls/link.ts";
import { ChannelOwners, ownersMemory } from "../../src/threads/calls/owner.ts";
import { ThreadNode } from "../../src/threads/node.ts";
import { CAPABILITIES, type Init, ScriptedTransport, send } from "../engine/scene.ts";
import { eventually } from "../support/eventually.ts";

const timers: Timers = {
  after(ms, callback) {
    if (ms <= 0) {
      const turn = setImmediate(callback);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** A token is the name of its user. */
const backends: Backends = { authenticate: async ({ token }) => ({ userId: token }) };

export interface ClusterOptions {
  readonly threads?: number;
  readonly rules?: Partial<ChannelRules>;
  readonly maxChannels?: number;
  readonly maxRetainedBytes?: number;
  readonly keepsDirectory?: boolean;
}

export class ThreadCluster {
  readonly threads: number;
  readonly warnings: string[] = [];
  readonly places: Place[] = [];
  readonly #options: ClusterOptions;
  readonly #owners: SharedArrayBuffer;
  #lives = 0;

  constructor(options: ClusterOptions = {}) {
    this.threads = options.threads ?? 2;
    this.#options = options;
    this.#owners = ownersMemory(this.threads);
    for (let index = 0; index < this.threads; index++) this.#start(index);
    for (const { node } of this.places) node.complete();
  }

  /** A name with this beginning that the thread has. */
  name(thread: number, beginning = "room"): string {
    const owners = new ChannelOwners(this.#owners, this.threads, thread);
    for (let number = 0; ; number++) {
      const name = `${beginning}.${number}`;
      if (owners.of(name) === thread) return name;
    }
  }

  at(index: number): Place {
    const place = this.places[index];
    if (place === undefined) throw new RangeError(`there is no thread ${index}`);
    return place;
  }

  /** A thread ends, in whatever it was doing. */
  kill(index: number): void {
    const { life, node } = this.at(index);
    life.over = true;
    for (let other = 0; other < this.threads; other++) if (other !== index) node.ended(other);
    for (const place of this.places) if (place.index !== index) place.node.ended(index);
  }

  /** Another takes its place. */
  replace(index: number): Place {
    const place = this.#start(index);
    place.node.complete();
    return place;
  }

  #start(index: number): Place {
    this.#lives += 1;
    const { keepsDirectory = false, maxChannels = 1_000, rules = {} } = this.#options;
    const gateway = `t${index}-${this.#lives}`;
    const life = { over: false };
    const platform = {
      clock: { now: () => Date.now() },
      timers: {
        after: (ms: number, callback: () => void) =>
          timers.after(ms, () => {
            if (!life.over) callback();
          }),
      },
      logger: {
        warn: (message: string, fields?: object) => {
          this.warnings.push(`${message} ${JSON.stringify(fields)}`);
        },
      },
    };
    const random = {
      uuid: () => crypto.randomUUID(),
      epoch: () => crypto.randomUUID().slice(0, 8),
    };
    const book = new RuleBook([], { ...DEFAULT_CHANNEL_RULES, ...rules });
    const node = new ThreadNode({
      index,
      threads: this.threads,
      owners: this.#owners,
      gateway,
      platform,
      random,
      rules: book,
      maxChannels,
      maxRetainedBytes: this.#options.maxRetainedBytes ?? 1_000_000,
      keepsDirectory,
      endOfTurn: (callback) => {
        setImmediate(callback);
      },
    });
    const engine = new Engine({
      broker: node.broker,
      ...platform,
      random,
      nextTurn: (callback) => {
        setImmediate(callback);
      },
      capabilities: CAPABILITIES,
      backends: keepsDirectory ? backends : {},
      settings: { ...DEFAULT_SETTINGS, rules: book },
    });
    const place = new Place(index, gateway, node, engine, life);
    for (const other of this.places.values()) {
      if (other === undefined || other.index === index || other.life.over) continue;
      const { port1, port2 } = new MessageChannel();
      const memory = newMemory();
      node.join(other.index, other.gateway, { port: port1, memory, side: 0 });
      other.node.join(index, gateway, { port: port2, memory, side: 1 });
    }
    this.places[index] = place;
    return place;
  }
}

export class Place {
  #clients = 0;
  readonly index: number;
  readonly gateway: string;
  readonly node: ThreadNode;
  readonly engine: Engine;
  readonly life: { over: boolean };

  constructor(
    index: number,
    gateway: string,
    node: ThreadNode,
    engine: Engine,
    life: { over: boolean },
  ) {
    this.index = index;
    this.gateway = gateway;
    this.node = node;
    this.engine = engine;
    this.life = life;
  }

  async client(clientId = "", token = ""): Promise<Client> {
    this.#clients += 1;
    const transport = new ScriptedTransport();
    const id = `${this.gateway}.${this.#clients}`;
    const client = new Client(this.engine.accept(transport, id, "json"), transport);
    const capabilities = clientId === "" ? ["recovery"] : ["recovery", "presence"];
    await client.send({ envelope: { case: "connect", value: { clientId, capabilities, token } } });
    client.told();
    return client;
  }
}

export class Client {
  #read = 0;
  #published = 0;
  readonly session: ReturnType<Engine["accept"]>;
  readonly transport: ScriptedTransport;

  constructor(session: ReturnType<Engine["accept"]>, transport: ScriptedTransport) {
    this.session = session;
    this.transport = transport;
  }

  async send(message: Init): Promise<void> {
    await send(this.session, message);
  }

  async subscribe(channel: string, more: object = {}): Promise<void> {
    const value = { subscriptions: [{ channel, ...more }] };
    await this.send({ envelope: { case: "subscribe", value } });
  }

  async publish(channel: string, text: string): Promise<void> {
    this.#published += 1;
    const id = `${this.session.id}/${this.#published}`;
    const data = { case: "textData", value: text } as const;
    const value = { id, source: "/s", type: "t", specVersion: "1.0", data };
    await this.send({ id, channel, envelope: { case: "publish", value } });
  }

  /** What it was told since the last call. */
  told(): string[] {
    const frames = this.transport.frames.slice(this.#read);
    this.#read = this.transport.frames.length;
    return frames.flatMap((frame) => lines(codecFor("json").decodeOutbound(frame)));
  }

  /** Adds what it is told until there is so much of it. */
  async hears(count: number): Promise<string[]> {
    const all: string[] = [];
    await eventually(
      async () => {
        all.push(...this.told().filter((line) => !line.startsWith("ack")));
        return all;
      },
      (told) => told.length >= count,
    );
    return all;
  }
}

function lines({ envelope }: OutboundMessage): string[] {
  switch (envelope.case) {
    case "subscribeAck":
      return envelope.value.subscriptions.map(
        ({ channel, error }) => `ack ${channel} ${error?.code ?? "ok"}`,
      );
    case "publishAck":
      return [`ack ${envelope.value.offset}`];
    case "publication":
      return envelope.value.messages.map(
        ({ offset, payload, replay }) =>
          `${replay ? "replay " : ""}${offset} ${payload?.data.value}`,
      );
    case "presenceEvent": {
      const { change } = envelope.value;
      return [`${change.case} ${change.value?.clientId}`];
    }
    case "gap":
    case "recovered": {
      const gap = envelope.case === "gap" ? envelope.value : envelope.value.gap;
      return [`${envelope.case}${gap === undefined ? "" : ` ${gap.reason}`}`];
    }
    case "error":
      return [`error ${envelope.value.code}`];
    default:
      return [`${envelope.case}`];
  }
}
