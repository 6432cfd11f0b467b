/**
 * Lifecycle hooks of `serve` processes that are killed while their backend is away: every event arrives at least
 * once, those of a session in their order, and the sessions of a killed process are told of as gone.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "vitest";
import { dial, type MessageLoopClient } from "../../src/client/v0/index.ts";
import { type CliServer, startServer } from "../server/process.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

/** Three beats of a node, by which it is lost, and the ten seconds in which another tells of its sessions. */
const TOLD_WITHIN_MS = 15_000 + 10_000;

/** What the application has taken, in the order of arrival. */
interface Taken {
  readonly session: string;
  readonly line: string;
  readonly id: string;
  readonly code: number;
  readonly at: number;
}

/** An application that is told of sessions, a Redis, and `serve` processes with a configuration that names both. */
class Scene {
  /** Whether the application refuses what it is told. */
  away = false;
  readonly taken: Taken[] = [];
  readonly #folder: string;
  readonly #redis: RedisServer;
  readonly #application: Server;
  readonly #servers: CliServer[] = [];
  readonly #clients: MessageLoopClient[] = [];

  static async open(): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), "messageloop-hooks-"));
    const scene = new Scene(folder, await redisServer());
    await scene.#listen();
    return scene;
  }

  private constructor(folder: string, redis: RedisServer) {
    this.#folder = folder;
    this.#redis = redis;
    this.#application = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy());
    });
  }

  async serve(): Promise<CliServer> {
    const server = await startServer(["--config", this.#file]);
    this.#servers.push(server);
    return server;
  }

  async client({ url }: CliServer, ...channels: string[]): Promise<void> {
    const opened = await dial(url);
    this.#clients.push(opened);
    for (const channel of channels) await opened.subscribe(channel);
  }

  /** Each session's events, each once, in the order of their first arrival. */
  lives(): string[][] {
    const lines = new Map<string, Map<string, string>>();
    for (const { session, id, line } of this.taken) {
      const mine = lines.get(session) ?? new Map<string, string>();
      lines.set(session, mine);
      if (!mine.has(id)) mine.set(id, line);
    }
    return [...lines.values()].map((mine) => [...mine.values()]);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    for (const { child } of this.#servers) child.kill("SIGKILL");
    await Promise.all(this.#servers.map(({ ended }) => ended));
    this.#application.closeAllConnections();
    this.#application.close();
    await this.#redis.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #file(): string {
    return join(this.#folder, "config.yaml");
  }

  async #listen(): Promise<void> {
    this.#application.listen(0, "127.0.0.1");
    await once(this.#application, "listening");
    const { port } = this.#application.address() as AddressInfo;
    const told = { connected: "app", subscribed: "app", unsubscribed: "app", disconnected: "app" };
    const config = {
      broker: { type: "redis", redis: { url: this.#redis.url, key_prefix: newPrefix() } },
      proxy: [{ name: "app", endpoint: `http://127.0.0.1:${port}/hooks` }],
      hooks: told,
    };
    await writeFile(this.#file, JSON.stringify(config));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await text(request));
    response.statusCode = this.away ? 503 : 204;
    if (!this.away) {
      const { session_id: session, channel = "", lifecycle, code = 0 } = body;
      const hook = `${request.headers["messageloop-hook"]}`;
      const line = channel === "" ? hook : `${hook} ${channel}`;
      this.taken.push({ session, line, id: lifecycle.event_id, code, at: Date.now() });
    }
    response.end();
  }
}

// Most of their time a process is lost and nobody knows it yet.
describe.concurrent("a process", () => {
  test("is killed while the backend is away: nothing is lost, and its sessions have ended", async ({
    expect,
    onTestFinished,
  }) => {
    const scene = await Scene.open();
    onTestFinished(() => scene.close());
    const [killed, stays] = await Promise.all([scene.serve(), scene.serve()]);
    scene.away = true;
    for (let i = 0; i < 10; i++) await scene.client(killed, "a", "b");
    await scene.client(stays, "a");
    killed.child.kill("SIGKILL");
    const at = Date.now();
    await killed.ended;
    scene.away = false;
    const life = ["on_connected", "on_subscribed a", "on_subscribed b", "on_disconnected"];
    const ended = (): number => scene.lives().filter((lines) => lines.length === 4).length;
    await eventually(ended, (count) => count === 10, TOLD_WITHIN_MS + 60_000);
    const told = scene.lives();
    expect(told.filter((lines) => lines.includes("on_disconnected"))).toEqual(
      Array.from({ length: 10 }, () => life),
    );
    expect(told).toHaveLength(11);
    const { taken } = scene;
    const ends = taken.filter(({ line }) => line === "on_disconnected");
    expect(new Set(ends.map(({ code }) => code))).toEqual(new Set([1006]));
    expect(Math.min(...ends.map((one) => one.at)) - at).toBeLessThan(TOLD_WITHIN_MS);
    const duplicates = taken.length - new Set(taken.map(({ id }) => id)).size;
    console.info(`events that came more than once: ${duplicates} of ${taken.length}`);
  }, 120_000);

  test("is the only one, is killed and started again: it goes on with what it has left behind", async ({
    expect,
    onTestFinished,
  }) => {
    const scene = await Scene.open();
    onTestFinished(() => scene.close());
    const killed = await scene.serve();
    scene.away = true;
    await scene.client(killed, "a");
    killed.child.kill("SIGKILL");
    await killed.ended;
    scene.away = false;
    await scene.serve();
    const life = ["on_connected", "on_subscribed a", "on_disconnected"];
    await eventually(
      () => scene.lives(),
      (all) => all[0]?.length === life.length,
      TOLD_WITHIN_MS + 60_000,
    );
    expect(scene.lives()).toEqual([life]);
  }, 120_000);
});
