/**
 * Ten restarts of the Worker on the same port and storage, each of them a crash: publishers and
 * subscribers go on, and come back with their positions. The logs go on as well: nothing acknowledged is
 * lost, and nothing comes twice.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import {
  CHANNEL_RULES,
  lifeChannels,
  OBJECTS_SLEEP_AFTER_MS,
  RECOVERY_MESSAGES,
} from "../history/channels.ts";
import type { HostEvent, LifeHost, LifeSocket } from "../history/host.ts";
import { live } from "../history/life.ts";
import { sleep } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";
import { seed } from "../support/random.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const RESTARTS = 10;
const STEPS = 1_200;
const GATEWAYS = 3;

const vars = {
  messageloop: { limits: { recovery_messages: RECOVERY_MESSAGES }, channels: CHANNEL_RULES },
};

class WorkerHost implements LifeHost {
  readonly places = GATEWAYS;
  readonly channels = lifeChannels(settingsOf(vars).rules, false, OBJECTS_SLEEP_AFTER_MS);
  readonly recoveryMessages = RECOVERY_MESSAGES;
  readonly repeatsInside = true;
  readonly authenticates = false;
  restarts = 0;
  readonly #port: number;
  readonly #storage: string;
  #server: RunningServer | undefined;

  readonly events: ReadonlyMap<string, HostEvent> = new Map([
    [
      "restart",
      {
        often: 0,
        every: STEPS / RESTARTS,
        loses: "all",
        faulty: true,
        trims: false,
        waits: true,
        run: () => this.restart(),
      },
    ],
  ]);

  constructor(port: number, storage: string) {
    this.#port = port;
    this.#storage = storage;
  }

  async start(): Promise<void> {
    this.#server = await startWorkerd({
      main: "worker-entry",
      vars,
      port: this.#port,
      storage: this.#storage,
    });
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async restart(): Promise<void> {
    this.restarts += 1;
    await this.#server?.kill();
    await this.start();
  }

  async open(encoding: Encoding, place: number): Promise<LifeSocket> {
    const url = `ws://127.0.0.1:${this.#port}/ws?gateway=sam-${place}`;
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
}

test("ten restarts, each of them a crash", async () => {
  const storage = await mkdtemp(join(tmpdir(), "messageloop-restarts-"));
  const host = new WorkerHost(await settledPort("worker"), storage);
  try {
    await host.start();
    const { counts } = await live({ host, steps: STEPS, seed: seed() });
    expect(host.restarts).toBe(RESTARTS);
    // Somebody was cut off in the middle of something, and somebody came back and had missed nothing.
    expect(counts["unknown"]).toBeGreaterThan(RESTARTS);
    expect(counts["recovered all"]).toBeGreaterThan(RESTARTS);
  } finally {
    await host.stop();
    await rm(storage, { recursive: true, force: true });
  }
}, 240_000);
