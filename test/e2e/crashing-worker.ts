/**
 * The Worker in workerd as the host of a random life. What happens to it is a crash: it starts again on the same port and
 * storage, with none of its objects in memory. Where that is wanted, all of its objects are also put to sleep, or reset.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { KEYS } from "../conformance/keys.ts";
import {
  CHANNEL_RULES,
  lifeChannels,
  OBJECTS_SLEEP_AFTER_MS,
  RECOVERY_MESSAGES,
  STREAM,
} from "../history/channels.ts";
import type { HostEvent, LifeHost, LifeSocket } from "../history/host.ts";
import { sleep } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const GATEWAYS = 3;

const vars = {
  messageloop: {
    transport: { stream: STREAM },
    limits: { recovery_messages: RECOVERY_MESSAGES },
    channels: CHANNEL_RULES,
  },
  MESSAGELOOP_API_KEYS: JSON.stringify(KEYS),
};

/** What happens to all objects, with how often it does in 10,000 steps. What sleeps answers when it is asked. */
const OF_OBJECTS = { evict: { often: 60, faulty: false }, abort: { often: 30, faulty: true } };

export class CrashingWorker implements LifeHost {
  readonly places = GATEWAYS;
  readonly channels = lifeChannels(settingsOf(vars).rules, false, OBJECTS_SLEEP_AFTER_MS);
  readonly recoveryMessages = RECOVERY_MESSAGES;
  readonly repeatsInside = true;
  readonly authenticates = false;
  readonly port: number;
  readonly events: ReadonlyMap<string, HostEvent>;
  restarts = 0;
  readonly #storage: string;
  readonly #ofObjects: boolean;
  #server: RunningServer | undefined;

  /**
   * @param every steps between two crashes
   * @param ofObjects whether something happens to all objects beside that
   */
  static async open(every: number, ofObjects = false): Promise<CrashingWorker> {
    const storage = await mkdtemp(join(tmpdir(), "messageloop-crashes-"));
    return new CrashingWorker(await settledPort("worker"), storage, every, ofObjects);
  }

  private constructor(port: number, storage: string, every: number, ofObjects: boolean) {
    this.port = port;
    this.#storage = storage;
    this.#ofObjects = ofObjects;
    const crash = { loses: "all", faulty: true, trims: false, waits: true } as const;
    this.events = new Map<string, HostEvent>([
      ["restart", { ...crash, often: 0, every, run: () => this.restart() }],
      ...Object.entries(ofObjects ? OF_OBJECTS : {}).map(
        ([what, terms]) =>
          [`${what} all objects`, { ...crash, ...terms, run: () => this.#all(what) }] as const,
      ),
    ]);
  }

  async start(): Promise<void> {
    this.#server = await startWorkerd({
      main: this.#ofObjects ? "worker-objects-entry" : "worker-entry",
      vars,
      port: this.port,
      storage: this.#storage,
      experimental: this.#ofObjects,
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    await rm(this.#storage, { recursive: true, force: true });
  }

  async restart(): Promise<void> {
    this.restarts += 1;
    await this.#server?.kill();
    await this.start();
  }

  /** Where clients of a gateway connect. */
  path(place: number): string {
    return `/ws?gateway=sam-${place}`;
  }

  async open(encoding: Encoding, place: number): Promise<LifeSocket> {
    const url = `ws://127.0.0.1:${this.port}${this.path(place)}`;
    const socket = new WebSocket(url, [codecFor(encoding).subprotocol]);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("error", reject);
    });
    return socket;
  }

  now(): number {
    return Date.now();
  }

  async turn(): Promise<void> {
    await sleep(1);
  }

  async #all(what: string): Promise<void> {
    const { status } = await fetch(`http://127.0.0.1:${this.port}/test/${what}`, {
      method: "POST",
    });
    if (status !== 204) throw new Error(`HTTP ${status}`);
  }
}
