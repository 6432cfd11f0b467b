/** `messageloop serve` on Redis: how it starts, how two behave as one, and what becomes of it when Redis goes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type ClientOption,
  createCloudEvent,
  dial,
  type MessageLoopClient,
  type ReceivedMessage,
  withToken,
} from "../../src/client/v0/index.ts";
import { type CliServer, runCli, startServer, until } from "../server/process.ts";
import { eventually } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";
import { endingIn, goodToken, SECRET } from "../support/tokens.ts";
import { newPrefix } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

let folder = "";
const redis: RedisServer[] = [];
const servers: CliServer[] = [];
const clients: MessageLoopClient[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "messageloop-serve-redis-"));
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const { child } of servers) child.kill("SIGKILL");
  await Promise.all(servers.splice(0).map(({ ended }) => ended));
  await Promise.all(redis.splice(0).map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

async function configured(
  settings: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const file = join(folder, "config.yaml");
  const prefix = { key_prefix: newPrefix() };
  await writeFile(
    file,
    JSON.stringify({ broker: { type: "redis", redis: { ...prefix, ...settings } }, ...more }),
  );
  return file;
}

async function serve(file: string): Promise<CliServer> {
  const server = await startServer(["--config", file]);
  servers.push(server);
  return server;
}

async function client(
  { url }: CliServer,
  ...options: readonly ClientOption[]
): Promise<MessageLoopClient> {
  const opened = await dial(url, options);
  clients.push(opened);
  return opened;
}

const event = (text: string) => createCloudEvent({ source: "/t", type: "t", data: text });

test("two servers behave as one, and one of them may be killed", async () => {
  const store = await redisServer();
  redis.push(store);
  const file = await configured({ addr: `127.0.0.1:${store.port}`, pool_size: 3 });
  const [one, two] = await Promise.all([serve(file), serve(file)]);
  // What has no effect is said.
  await until(one, () => one.stdout().some((line) => line.includes("broker.redis.pool_size")));
  const listener = await client(two);
  const received: ReceivedMessage[] = [];
  listener.onMessage((messages) => received.push(...messages));
  await listener.subscribe("news");
  const first = await client(one);
  const { offset, epoch } = await first.publish("news", event("1"));
  expect(offset).toBe(1n);
  one.child.kill("SIGKILL");
  await one.ended;
  expect(await (await client(two)).publish("news", event("2"))).toMatchObject({
    offset: 2n,
    epoch,
  });
  await eventually(() => received.length === 2);
  expect(received.map(({ event: { data } }) => data)).toEqual(["1", "2"]);
  two.child.kill("SIGTERM");
  expect(await two.ended).toMatchObject({ code: 0 });
});

test("a token is good on every server, and its channels hear what is published on another one", async () => {
  const store = await redisServer();
  redis.push(store);
  const auth = { jwt: { hmac_secret: SECRET, algorithms: ["HS256"] } };
  const file = await configured({ url: store.url }, { auth });
  const [one, two] = await Promise.all([serve(file), serve(file)]);
  const token = goodToken({ sub: "ada", channels: ["user.ada"], ...endingIn(600) });
  const received: ReceivedMessage[] = [];
  for (const server of [one, two]) {
    const listener = await client(server, withToken(token));
    listener.onMessage((messages) => received.push(...messages));
    await expect(client(server, withToken(`${token}x`))).rejects.toMatchObject({
      code: "AUTH_ERROR",
    });
    await until(server, () => server.stdout().some((line) => line.includes("signature")));
    expect(server.stdout().join("")).not.toContain(token.split(".")[1]);
  }
  await (await client(one, withToken(token))).publish("user.ada", event("1"));
  await eventually(() => received.length === 2);
  expect(received.map(({ publisher }) => publisher?.userId)).toEqual(["ada", "ada"]);
});

test("readiness follows Redis, and a publish meanwhile is told to try again", async () => {
  const store = await redisServer();
  redis.push(store);
  const server = await serve(await configured({ url: store.url }));
  const ready = async (): Promise<number> =>
    (await fetch(`http://127.0.0.1:${server.ports.http}/health/ready`)).status;
  expect(await ready()).toBe(200);
  const publisher = await client(server);
  await publisher.publish("a", event("1"));
  await store.kill();
  await eventually(async () => (await ready()) === 503);
  await expect(publisher.publish("a", event("2"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect((await fetch(`http://127.0.0.1:${server.ports.http}/health/live`)).status).toBe(200);
  await store.start();
  await eventually(async () => (await ready()) === 200);
  expect(await publisher.publish("a", event("3"))).toMatchObject({ duplicate: false });
});

test("an operator sees that Redis is lost, why, and after how long it is back", async () => {
  const store = await redisServer();
  redis.push(store);
  const server = await serve(await configured({ url: store.url }));
  const address = `127.0.0.1:${store.port}`;
  const logged = (message: string) =>
    server
      .stdout()
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((record) => record["message"] === message);
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${server.ports.http}/metrics`)).text();
    return Number(new RegExp(`^messageloop_redis_${name} (\\S+)$`, "m").exec(text)?.[1]);
  };
  expect(await metric("ready")).toBe(1);
  await store.kill();
  await until(server, () => logged("Redis is lost").length === 1);
  expect(logged("Redis is lost")[0]).toMatchObject({
    level: "warn",
    address,
    cause: expect.stringMatching(/closed|ECONN/i),
  });
  await eventually(async () => (await metric("lost_seconds")) > 0.1);
  expect([await metric("ready"), await metric("losses_total")]).toEqual([0, 1]);
  await store.start();
  await until(server, () => logged("Redis is back").length === 1);
  const [back] = logged("Redis is back");
  expect(back).toMatchObject({ level: "info", address });
  expect(back?.["seconds"]).toBeGreaterThan(0.1);
  await eventually(async () => (await metric("ready")) === 1);
  expect([await metric("lost_seconds"), await metric("losses_total")]).toEqual([0, 1]);
  expect(logged("Redis is lost")).toHaveLength(1);
});

test("without Redis it does not start, and says why in one line without a password", async () => {
  const port = await settledPort("redis");
  const file = await configured({ url: `redis://:secret@127.0.0.1:${port}` });
  const { code, stdout, stderr } = await runCli(["serve", "--config", file]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toContain(`Redis at 127.0.0.1:${port}`);
  expect(stderr).not.toContain("secret");
});

test("settings that do not go together are named", async () => {
  const wrong: [Readonly<Record<string, unknown>>, string][] = [
    [{ url: "http://x" }, "broker.redis.url: must be a URL such as"],
    [{ url: "redis://a:1", addr: "a:1" }, "broker.redis.addr: stands in url: use one of them"],
    [{ addr: "a:1,b:2" }, "broker.redis.addr: names several servers: needs cluster: true"],
    [{ addr: "nohost" }, "broker.redis.addr: must be host:port"],
    [{ cluster: true, db: 3 }, "broker.redis.db: must be 0 with cluster: true"],
    [{ tls_ca: "ca.pem" }, "broker.redis.tls_ca: does nothing without TLS"],
    [{ key_prefix: "{a}" }, "broker.redis.key_prefix: must be a text without braces"],
    [{ history_ttl: "1ms" }, "broker.redis.history_ttl: must be at least 1s"],
  ];
  for (const [settings, message] of wrong) {
    const { code, stderr } = await runCli(["check", "--config", await configured(settings)]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  }
});
