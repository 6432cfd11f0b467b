/** A server with threads, which end at random, as the host of a random life. */
import { WebSocket } from "ws";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { KEYS } from "../conformance/keys.ts";
import { CHANNEL_RULES, lifeChannels, RECOVERY_MESSAGES, STREAM } from "../history/channels.ts";
import type { HostEvent, LifeHost, LifeSocket } from "../history/host.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { startThreads, type ThreadsProcess } from "./threads-process.ts";

/** What was published may be on its way for so long, in milliseconds. */
const ARRIVAL_MS = 2_000;
const TURN_MS = 2;
/** Threads that end at the same time at most. */
const MOST_KILLS = 2;
/** A life ends more threads than a server may lose. */
const ANY_DEATHS = 1_000_000;

const CONFIG = {
  // Clients that ping find out soon that nobody answers.
  server: { drain_timeout: "2s", heartbeat: { ping_interval: "10s" } },
  api: { keys: KEYS },
  transport: { stream: STREAM },
  limits: { recovery_messages: RECOVERY_MESSAGES },
  channels: CHANNEL_RULES,
};

export class ThreadsHost implements LifeHost {
  readonly places: number;
  readonly channels;
  readonly recoveryMessages = RECOVERY_MESSAGES;
  // A publish whose thread ends is made again inside.
  readonly repeatsInside = true;
  readonly authenticates = false;
  readonly events: ReadonlyMap<string, HostEvent>;
  readonly #server: ThreadsProcess;
  readonly #kills = new Set<Promise<void>>();

  private constructor(server: ThreadsProcess, threads: number) {
    this.#server = server;
    this.places = threads;
    const { rules } = parseConfig(CONFIG).settings;
    this.channels = new Map(
      [...lifeChannels(rules, true)].map(([name, terms]) => [name, { ...terms, inPassing: true }]),
    );
    const kill: HostEvent = {
      often: 30,
      loses: "all",
      faulty: true,
      trims: false,
      waits: false,
      run: (_, place) => this.#kill(place),
    };
    this.events = new Map([["kill", kill]]);
  }

  static async open(threads: number): Promise<ThreadsHost> {
    return new ThreadsHost(
      await startThreads(threads, CONFIG, { mostDeaths: ANY_DEATHS }),
      threads,
    );
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#kills);
    this.#server.terminate();
    const { code, stderr } = await this.#server.ended;
    if (code !== 0) throw new Error(`the server has ended with ${code}: ${stderr}`);
  }

  async open(encoding: Encoding, place: number): Promise<LifeSocket> {
    const url = this.#server.own[place] ?? "";
    const socket = new WebSocket(url, [codecFor(encoding).subprotocol], {
      handshakeTimeout: 5_000,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("error", reject);
    });
    return socket;
  }

  /** Where a place takes connections. */
  port(place: number): number {
    return Number(new URL(this.#server.own[place] ?? "").port);
  }

  now(): number {
    return Date.now();
  }

  async turn(): Promise<void> {
    await sleep(TURN_MS);
  }

  /** Threads that end faster than they can be replaced would be all that happens. */
  async #kill(place: number): Promise<void> {
    if (this.#kills.size >= MOST_KILLS) return;
    const killed = this.#killed(place);
    this.#kills.add(killed);
    try {
      await killed;
    } finally {
      this.#kills.delete(killed);
    }
  }

  async #killed(place: number): Promise<void> {
    await this.#server.kill(place);
    await eventually(() => this.#server.ready());
    // What is on its way to a subscriber is of the log that was lost.
    await sleep(ARRIVAL_MS);
  }
}
