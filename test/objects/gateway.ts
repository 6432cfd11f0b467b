/** A gateway of the cluster: an engine over the channels, and clients on transports that only record. */

import type { ClientSession } from "../../src/engine/engine.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { ObjectBroker } from "../../src/objects/gateway/broker.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import type {
  ChannelRegistrationRow,
  UserRegistrationRow,
} from "../../src/objects/ports/registrations.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import {
  MemoryPatternRegistrations,
  MemoryRegistrations,
} from "../../src/threads/objects/memory-stores.ts";
import { CAPABILITIES, type Init, ScriptedTransport, send } from "../engine/scene.ts";
import { type Cluster, REGIONS } from "./cluster.ts";
import { Life } from "./place.ts";

export class Gateway {
  readonly #name: string;
  readonly #cluster: Cluster;
  readonly channelRegistrations = new MemoryRegistrations<ChannelRegistrationRow>();
  readonly patternRegistrations = new MemoryPatternRegistrations();
  readonly userRegistrations = new MemoryRegistrations<UserRegistrationRow>();
  #life: Life;
  broker: ObjectBroker;
  engine: Engine;
  #clients = 0;

  constructor(name: string, cluster: Cluster) {
    this.#name = name;
    this.#cluster = cluster;
    this.#life = new Life(cluster.platform);
    ({ broker: this.broker, engine: this.engine } = this.#open());
  }

  /** All sockets are cut and all memory is lost; what it has registered is found again. */
  reset(): void {
    this.#life.over = true;
    this.#life = new Life(this.#cluster.platform);
    ({ broker: this.broker, engine: this.engine } = this.#open());
  }

  /**
   * A client that has connected. One with a name hears who joins and leaves.
   *
   * @param user who it is; needed in a cluster that keeps a directory
   */
  async client(clientId = "", user = ""): Promise<Client> {
    const client = this.stranger();
    const capabilities = clientId === "" ? ["recovery"] : ["recovery", "presence"];
    const value = { clientId, capabilities, token: user };
    await client.send({ envelope: { case: "connect", value } });
    client.told();
    return client;
  }

  /** A client that has not said anything. */
  stranger(): Client {
    this.#clients += 1;
    const transport = new ScriptedTransport();
    const session = this.engine.accept(transport, `${this.#name}.${this.#clients}`, "json");
    return new Client(session, transport, this.#cluster);
  }

  #open(): { broker: ObjectBroker; engine: Engine } {
    const { platform } = this.#life;
    const { clock, logger, timers } = platform;
    const turn = new Turn(timers);
    const random = { uuid: () => crypto.randomUUID() };
    const broker: ObjectBroker = new ObjectBroker({
      gateway: this.#name,
      calls: this.#cluster.callsOf(this.#life, this.#name),
      channelRegistrations: this.channelRegistrations,
      patternRegistrations: this.patternRegistrations,
      userRegistrations: this.userRegistrations,
      keepsDirectory: this.#cluster.keepsDirectory,
      // The first half of the alphabet is in the first region.
      region: this.#name < "n" ? REGIONS[0] : REGIONS[1],
      regions: REGIONS,
      isGateway: (name) => /^[a-z]$/.test(name),
      random,
      turn,
      platform,
    });
    const engine: Engine = new Engine({
      broker,
      clock,
      random,
      timers,
      nextTurn: (callback) => turn.soon(callback),
      logger,
      capabilities: CAPABILITIES,
      backends: this.#cluster.keepsDirectory ? { authenticate } : {},
      settings: this.#cluster.settings,
    });
    return { broker, engine };
  }
}

/** Where users are found a token is the name of one, with the token's id behind a slash; "old" does not say its age. */
const authenticate: NonNullable<Backends["authenticate"]> = async ({ token }) => {
  const [userId = "", tokenId] = token.split("/");
  if (tokenId === "old") return { userId, issuedAt: 0 };
  return tokenId === undefined ? { userId } : { userId, tokenId };
};

export class Client {
  readonly session: ClientSession;
  readonly transport: ScriptedTransport;
  readonly #cluster: Cluster;
  #read = 0;
  #published = 0;

  constructor(session: ClientSession, transport: ScriptedTransport, cluster: Cluster) {
    this.session = session;
    this.transport = transport;
    this.#cluster = cluster;
  }

  /** Resolves when the request has been dealt with. */
  async send(message: Init): Promise<void> {
    await this.#cluster.time.until(send(this.session, message));
  }

  async subscribe(channel: string, more: Subscribing = {}): Promise<void> {
    await this.send({
      envelope: { case: "subscribe", value: { subscriptions: [{ channel, ...more }] } },
    });
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.send({
      envelope: { case: "unsubscribe", value: { subscriptions: [{ channel }] } },
    });
  }

  /** Publishes texts together. Resolves when all have been answered. */
  async publish(channel: string, ...texts: readonly string[]): Promise<void> {
    await this.#cluster.time.until(
      Promise.all(texts.map((text) => this.publishing(channel, text))),
    );
  }

  /** Publishes a text under an id of its own. */
  async publishing(channel: string, text: string): Promise<void> {
    this.#published += 1;
    const id = `${this.session.id}/${this.#published}`;
    const data = { case: "textData", value: text } as const;
    const value = { id, source: "/s", type: "t", specVersion: "1.0", data };
    await send(this.session, { id, channel, envelope: { case: "publish", value } });
  }

  /** What it was told since the last call. */
  told(): string[] {
    const frames = this.transport.frames.slice(this.#read);
    this.#read = this.transport.frames.length;
    return frames.flatMap((frame) => lines(codecFor("json").decodeOutbound(frame)));
  }

  /** The same without acknowledgements. */
  heard(): string[] {
    return this.told().filter((line) => !line.startsWith("ack"));
  }
}

interface Subscribing {
  readonly recover?: boolean;
  readonly since?: { readonly epoch: string; readonly offset: bigint };
}

function lines({ envelope }: OutboundMessage): string[] {
  switch (envelope.case) {
    case "subscribeAck":
      return envelope.value.subscriptions.map(
        ({ channel, error, position }) =>
          `ack ${channel} ${error?.code ?? `${position?.epoch}/${position?.offset}`}`,
      );
    case "publishAck":
      return [`ack ${envelope.value.offset}`];
    case "publication":
      return envelope.value.messages.map(
        ({ channel, epoch, offset, payload, replay }) =>
          `${replay ? "replay " : ""}${channel} ${epoch}/${offset} ${payload?.data.value}`,
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
