/**
 * Two `serve` processes on one Redis as the host of a random life: what happens to it are the failures of
 * processes, of Redis and of the connections between them.
 */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { KEYS } from "../conformance/keys.ts";
import { CHANNEL_RULES, lifeChannels, RECOVERY_MESSAGES, STREAM } from "../history/channels.ts";
import type { Terms } from "../history/facts.ts";
import type { HostEvent, LifeHost, LifeSocket } from "../history/host.ts";
import { sleep } from "../support/eventually.ts";
import { seededRandom } from "../support/random.ts";
import { newPrefix } from "./nodes.ts";
import { ServeProcess } from "./serve-process.ts";
import { type RedisServer, redisServer } from "./servers.ts";
import { Witness } from "./witness.ts";

const PLACES = 2;
/** A little longer than a publish waits for its answer: it takes effect, and nobody knows. */
const PAUSE_SECONDS = 5.3;
/** How long a restart of Redis takes: in turns longer and shorter than a call waits for a connection. */
const DOWN_MS = [1_500, 100];
/** Publishes that are acknowledged and lost with a stale snapshot, and how long to wait for them. */
const LOST = 20;
const LOST_MS = 5_000;
/** How long what was published may be on its way, in milliseconds. */
const ARRIVAL_MS = 2_000;
/** How long a step takes by itself, and while something happens: it should be met in all its phases. */
const TURN_MS = 2;
const LONG_TURN_MS = 20;

/** Something that happens, and how often in 10,000 steps beside the one time that is certain. */
interface Fault {
  readonly often: number;
  /** Whether logs are lost, or can be taken for lost. */
  readonly loses: boolean;
  run(host: ProcessHost, place: number): Promise<void>;
}

function fault(often: number, run: Fault["run"], loses = false): Fault {
  return { often, loses, run };
}

/** What destroys nothing. */
const GENTLE = {
  kill: fault(10, (host, place) => host.restart(place, "kill")),
  rolling: fault(0, (host) => host.rolling()),
  pause: fault(0, (host) => host.redis("DEBUG", "SLEEP", `${PAUSE_SECONDS}`)),
  scripts: fault(20, (host) => host.redis("SCRIPT", "FLUSH")),
  deaf: fault(30, (host) => host.redis("CLIENT", "KILL", "TYPE", "pubsub")),
  cut: fault(30, (host) => host.redis("CLIENT", "KILL", "TYPE", "normal")),
};

/** For a Redis that keeps its word: it comes back with all that it has acknowledged. */
export const DURABLE_FAULTS: Readonly<Record<string, Fault>> = {
  ...GENTLE,
  restart: fault(10, (host) => host.restartRedis()),
};

export const CARELESS_FAULTS: Readonly<Record<string, Fault>> = {
  ...GENTLE,
  restart: fault(10, (host) => host.restartRedis(), true),
  snapshot: fault(0, (host) => host.loseSnapshot(), true),
  flush: fault(10, (host) => host.redis("FLUSHALL"), true),
};

export interface ProcessHostOptions {
  readonly durable: boolean;
  /** As on the command line of Redis, without their dashes. */
  readonly redis: Readonly<Record<string, string>>;
  readonly faults: Readonly<Record<string, Fault>>;
  readonly steps: number;
  readonly seed: number;
}

export class ProcessHost implements LifeHost {
  readonly places = PLACES;
  readonly channels: ReadonlyMap<string, Terms>;
  readonly recoveryMessages = RECOVERY_MESSAGES;
  // A server that does not get an answer from Redis publishes again.
  readonly repeatsInside = true;
  /** What a Redis loses between two looks of one recovery nobody can tell of a channel never seen. */
  readonly patterns: boolean;
  readonly authenticates = false;
  readonly events: ReadonlyMap<string, HostEvent>;
  readonly witness = new Witness();
  /** Publishes that were acknowledged and that no snapshot had. */
  lost = 0;
  #restarts = 0;
  readonly #redis: RedisServer;
  readonly #folder: string;
  readonly #servers: readonly ServeProcess[];
  readonly #sockets = new Set<WebSocket>();
  /** What happens to the servers and what happens to Redis: each one after the other. */
  readonly #serverEvents = new Sequence();
  readonly #redisEvents = new Sequence();
  #over = false;

  private constructor(
    options: ProcessHostOptions,
    channels: ReadonlyMap<string, Terms>,
    redis: RedisServer,
    folder: string,
    servers: readonly ServeProcess[],
  ) {
    this.channels = channels;
    this.patterns = options.durable;
    this.#redis = redis;
    this.#folder = folder;
    this.#servers = servers;
    const steps = firstSteps(options);
    this.events = new Map(
      Object.entries(options.faults).map(([name, { often, loses, run }]) => {
        const every = 2 * (steps.get(name) ?? 0);
        const event: HostEvent = {
          often,
          every,
          loses: loses ? "all" : "nothing",
          faulty: true,
          trims: false,
          // The load goes on.
          waits: false,
          run: async (_, place) => {
            await run(this, place);
            // What is on its way to a subscriber is of the log that was lost.
            if (loses) await sleep(ARRIVAL_MS);
          },
        };
        return [name, event];
      }),
    );
  }

  static async open(options: ProcessHostOptions): Promise<ProcessHost> {
    const folder = await mkdtemp(join(tmpdir(), "messageloop-processes-"));
    const file = join(folder, "config.yaml");
    const servers = await Promise.all(Array.from({ length: PLACES }, () => ServeProcess.of(file)));
    const redis = await redisServer(options.redis);
    const { url } = redis;
    const { durable } = options;
    const settings = {
      server: { drain_timeout: "2s" },
      broker: { type: "redis", redis: { url, key_prefix: newPrefix(), durable } },
      transport: { stream: STREAM },
      api: { keys: KEYS },
      limits: { recovery_messages: RECOVERY_MESSAGES },
      channels: CHANNEL_RULES,
    };
    writeFileSync(file, JSON.stringify(settings));
    const { rules } = parseConfig(settings).settings;
    const channels = new Map(
      [...lifeChannels(rules, !durable)].map(([name, terms]) => [
        name,
        { ...terms, inPassing: true },
      ]),
    );
    return new ProcessHost(options, channels, redis, folder, servers);
  }

  /** What the servers should not have done. */
  get problems(): readonly string[] {
    return this.#servers.flatMap(({ problems }) => problems);
  }

  async start(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  /** Ends all processes, also those that are being started. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#servers.map((server) => server.dispose()));
    await Promise.all([this.#serverEvents.end(), this.#redisEvents.end()]);
    await this.#redis.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async open(encoding: Encoding, place: number): Promise<LifeSocket> {
    const { url } = this.#server(place);
    const socket = new WebSocket(url, [codecFor(encoding).subprotocol], {
      handshakeTimeout: 5_000,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("error", reject);
    });
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.witness.watch(socket, encoding);
    return socket;
  }

  /** Where a server takes WebSockets. */
  port(place: number): number {
    return Number(new URL(this.#server(place).url).port);
  }

  now(): number {
    return Date.now();
  }

  async turn(): Promise<void> {
    const busy = this.#serverEvents.busy || this.#redisEvents.busy;
    await sleep(busy ? LONG_TURN_MS : TURN_MS);
  }

  async restart(place: number, how: "kill" | "stop"): Promise<void> {
    await this.#serverEvents.next(() => this.#restart(place, how));
  }

  /** As a deployment does it: one after the other, while the rest goes on. */
  async rolling(): Promise<void> {
    await this.#serverEvents.next(async () => {
      for (let place = 0; place < PLACES; place++) await this.#restart(place, "stop");
    });
  }

  async redis(...command: string[]): Promise<void> {
    await this.#redisEvents.next(async () => {
      if (!this.#over) await this.#redis.command(...command);
    });
  }

  async restartRedis(): Promise<void> {
    await this.#redisEvents.next(() => this.#restartRedis());
  }

  /** Redis comes back with a snapshot that is older than what it has acknowledged. */
  async loseSnapshot(): Promise<void> {
    await this.#redisEvents.next(async () => {
      await this.#redis.command("SAVE");
      const { acknowledged } = this.witness;
      const deadline = Date.now() + LOST_MS;
      const lost = (): number => this.witness.acknowledged - acknowledged;
      while (lost() < LOST && Date.now() < deadline && !this.#over) await sleep(TURN_MS);
      this.lost += lost();
      await this.#restartRedis();
    });
  }

  async #restart(place: number, how: "kill" | "stop"): Promise<void> {
    const server = this.#server(place);
    await server[how]();
    await server.start();
    // Everybody has fled to the other one: now they spread again.
    for (const socket of this.#sockets) socket.terminate();
  }

  async #restartRedis(): Promise<void> {
    await this.#redis.kill();
    await sleep(DOWN_MS[this.#restarts % DOWN_MS.length] ?? 0);
    this.#restarts += 1;
    if (!this.#over) await this.#redis.start();
  }

  #server(place: number): ServeProcess {
    const server = this.#servers[place];
    if (server === undefined) throw new RangeError(`there is no place ${place}`);
    return server;
  }
}

/** Does one thing after the other. */
class Sequence {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  get busy(): boolean {
    return this.#waiting > 0;
  }

  async next(work: () => Promise<void>): Promise<void> {
    this.#waiting += 1;
    const done = this.#last.then(work).finally(() => {
      this.#waiting -= 1;
    });
    this.#last = done.catch(() => {});
    await done;
  }

  async end(): Promise<void> {
    await this.#last;
  }
}

/**
 * The steps at which each fault is certain to happen, in an order that follows from the seed. An event that
 * happens every so many steps does so once only where that is in the last two thirds of all steps.
 */
function firstSteps({ faults, steps, seed }: ProcessHostOptions): ReadonlyMap<string, number> {
  const random = seededRandom(seed);
  const names = Object.keys(faults);
  const first = Math.ceil(steps / 3);
  const distance = (steps - first) / names.length;
  const order = new Map<string, number>();
  for (let i = 0; names.length > 0; i++) {
    const [name = ""] = names.splice(random.int(names.length), 1);
    order.set(name, first + Math.floor(i * distance));
  }
  return order;
}
