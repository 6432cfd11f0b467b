/** The self-hosted server with its memory broker as the host of a random life. */
import { WebSocket } from "ws";
import { MemoryBroker, type MemoryBrokerOptions } from "../../src/brokers/memory/broker.ts";
import type {
  HistoryFilter,
  HistoryPage,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "../../src/engine/ports/broker.ts";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { idleTimers, shortId } from "../../src/server/platform.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { KEYS } from "../conformance/keys.ts";
import { CHANNEL_RULES, lifeChannels, RECOVERY_MESSAGES, STREAM } from "../history/channels.ts";
import type { HostEvent, LifeHost } from "../history/host.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";

const listener = { addr: "127.0.0.1:0" };
const config = parseConfig({
  // A connection that nobody answers on is not waited for; and clients that ping find one out soon.
  server: { http: listener, drain_timeout: "1s", heartbeat: { ping_interval: "10s" } },
  transport: { websocket: listener, grpc: listener, stream: STREAM },
  api: { keys: KEYS },
  limits: { recovery_messages: RECOVERY_MESSAGES },
  channels: CHANNEL_RULES,
});

/** A broker whose answers take some turns, as those of a broker that is not in the same process do. */
class DistantBroker extends MemoryBroker {
  readonly #random: SeededRandom;

  constructor(options: MemoryBrokerOptions, seed: number) {
    super(options);
    this.#random = seededRandom(seed);
  }

  override async subscribe(channel: string): Promise<SubscribeResult> {
    const registration = await super.subscribe(channel);
    await this.#travel();
    return registration;
  }

  override async history(channel: string, filter: HistoryFilter): Promise<HistoryPage> {
    await this.#travel();
    const page = await super.history(channel, filter);
    await this.#travel();
    return page;
  }

  override async publish(channel: string, command: PublishCommand): Promise<PublishResult> {
    const result = await super.publish(channel, command);
    await this.#travel();
    return result;
  }

  async #travel(): Promise<void> {
    // Once in a while an answer takes long enough for others to say a lot.
    const turns = this.#random.chance(0.05) ? 60 : this.#random.int(4);
    for (let i = 0; i < turns; i++) await turn();
  }
}

/** A server that starts again with empty logs, and whose logs' clock can be put forward. */
export class ServerHost implements LifeHost {
  readonly places = 1;
  readonly channels = lifeChannels(config.settings.rules, true);
  readonly recoveryMessages = RECOVERY_MESSAGES;
  readonly repeatsInside = false;
  readonly authenticates = true;
  #server: Server | undefined;
  #broker: MemoryBroker | undefined;
  #port = 0;
  /** How far the clock of the logs is ahead, in milliseconds. */
  #ahead = 0;
  readonly #seed: number;

  readonly events: ReadonlyMap<string, HostEvent> = new Map([
    ["restart", this.#event(25, { loses: "all", waits: true }, () => this.restart())],
    ["expire", this.#event(40, {}, async () => this.#advance(1_100))],
    ["forget", this.#event(10, {}, async () => this.#advance(3_100))],
    ["sweep", this.#event(60, {}, async () => this.#broker?.sweep())],
    [
      "trim",
      this.#event(40, { trims: true }, async (channel) => {
        await this.#server?.engine.removeHistory(channel);
      }),
    ],
  ]);

  /** @param seed of how long the broker's answers take */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Where it takes WebSockets; another one after each start. */
  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const options: MemoryBrokerOptions = {
      clock: { now: () => this.now() },
      random: { epoch: shortId },
      nextTurn: (callback) => {
        setImmediate(callback);
      },
      timers: idleTimers,
      rules: config.settings.rules,
    };
    this.#broker = new DistantBroker(options, this.#seed);
    // Who a client says it is it is.
    const backends = {
      authenticate: async ({ token }: { readonly token: string }) => ({ userId: token }),
    };
    this.#server = createServer({ config, broker: this.#broker, backends });
    this.#port = (await this.#server.start()).websocket;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async open(encoding: Encoding): Promise<WebSocket> {
    const url = `ws://127.0.0.1:${this.#port}/ws`;
    const socket = new WebSocket(url, [codecFor(encoding).subprotocol]);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("error", reject);
    });
    return socket;
  }

  now(): number {
    return Date.now() + this.#ahead;
  }

  async turn(): Promise<void> {
    await turn();
  }

  #advance(ms: number): void {
    this.#ahead += ms;
  }

  #event(often: number, more: Partial<HostEvent>, run: HostEvent["run"]): HostEvent {
    return { often, loses: "nothing", faulty: false, trims: false, waits: false, ...more, run };
  }
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
