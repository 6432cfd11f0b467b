/**
 * Lifecycle hooks of `serve` processes that are killed while their backend is away: every event arrives at least
 * once, those of a session in their order, and the sessions of a killed process are told of as gone.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dial, type MessageLoopClient } from "../../src/client/v0/index.ts";
import { type CliServer, startServer } from "../server/process.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

/** Three beats of a node, by which it is lost, and the ten seconds in which another tells of its sessions. */
const TOLD_WITHIN_MS = 15_000 + 10_000;

let folder = "";
let redis: RedisServer;
let application: Server;
let away = false;
/** What the application has taken, in the order of arrival. */
const taken: { session: string; line: string; id: string; code: number; at: number }[] = [];
const servers: CliServer[] = [];
const clients: MessageLoopClient[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "messageloop-hooks-"));
  redis = await redisServer();
  taken.length = 0;
  away = false;
  application = createServer((request, response) => {
    const take = async (): Promise<void> => {
      const body = JSON.parse(await text(request));
      response.statusCode = away ? 503 : 204;
      if (!away) {
        const { session_id: session, channel = "", lifecycle, code = 0 } = body;
        const hook = `${request.headers["messageloop-hook"]}`;
        taken.push({
          session,
          line: channel === "" ? hook : `${hook} ${channel}`,
          id: lifecycle.event_id,
          code,
          at: Date.now(),
        });
      }
      response.end();
    };
    take().catch(() => response.destroy());
  });
  application.listen(0, "127.0.0.1");
  await once(application, "listening");
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const { child } of servers) child.kill("SIGKILL");
  await Promise.all(servers.splice(0).map(({ ended }) => ended));
  application.closeAllConnections();
  application.close();
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

async function configured(): Promise<string> {
  const file = join(folder, "config.yaml");
  const { port } = application.address() as AddressInfo;
  const told = { connected: "app", subscribed: "app", unsubscribed: "app", disconnected: "app" };
  const config = {
    broker: { type: "redis", redis: { url: redis.url, key_prefix: newPrefix() } },
    proxy: [{ name: "app", endpoint: `http://127.0.0.1:${port}/hooks` }],
    hooks: told,
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}

async function serve(file: string): Promise<CliServer> {
  const server = await startServer(["--config", file]);
  servers.push(server);
  return server;
}

async function client({ url }: CliServer, ...channels: string[]) {
  const opened = await dial(url);
  clients.push(opened);
  for (const channel of channels) await opened.subscribe(channel);
  return opened;
}

/** Each session's events, each once, in the order of their first arrival. */
function lives(): Map<string, string[]> {
  const lines = new Map<string, Map<string, string>>();
  for (const { session, id, line } of taken) {
    const mine = lines.get(session) ?? new Map<string, string>();
    lines.set(session, mine);
    if (!mine.has(id)) mine.set(id, line);
  }
  return new Map([...lines].map(([session, mine]) => [session, [...mine.values()]]));
}

test("a process is killed while the backend is away: nothing is lost, and its sessions have ended", async () => {
  const file = await configured();
  const [killed, stays] = await Promise.all([serve(file), serve(file)]);
  away = true;
  for (let i = 0; i < 10; i++) await client(killed, "a", "b");
  await client(stays, "a");
  killed.child.kill("SIGKILL");
  const at = Date.now();
  await killed.ended;
  away = false;
  const life = ["on_connected", "on_subscribed a", "on_subscribed b", "on_disconnected"];
  const ended = (): number => [...lives().values()].filter((lines) => lines.length === 4).length;
  await eventually(ended, (count) => count === 10, TOLD_WITHIN_MS + 60_000);
  const told = [...lives().values()];
  expect(told.filter((lines) => lines.includes("on_disconnected"))).toEqual(
    Array.from({ length: 10 }, () => life),
  );
  expect(told).toHaveLength(11);
  const ends = taken.filter(({ line }) => line === "on_disconnected");
  expect(new Set(ends.map(({ code }) => code))).toEqual(new Set([1006]));
  expect(Math.min(...ends.map((one) => one.at)) - at).toBeLessThan(TOLD_WITHIN_MS);
  const duplicates = taken.length - new Set(taken.map(({ id }) => id)).size;
  console.info(`events that came more than once: ${duplicates} of ${taken.length}`);
}, 120_000);

test("the only process is killed and started again: it goes on with what it has left behind", async () => {
  const file = await configured();
  const killed = await serve(file);
  away = true;
  await client(killed, "a");
  killed.child.kill("SIGKILL");
  await killed.ended;
  away = false;
  await serve(file);
  const life = ["on_connected", "on_subscribed a", "on_disconnected"];
  await eventually(
    () => [...lives().values()],
    (all) => all[0]?.length === life.length,
    TOLD_WITHIN_MS + 60_000,
  );
  expect([...lives().values()]).toEqual([life]);
}, 120_000);
