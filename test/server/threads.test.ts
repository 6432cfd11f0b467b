/** A server with threads: what its clients see is that of one server, also when one of them ends or is busy. */
import { readFileSync } from "node:fs";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { obstacle } from "../../src/server/threads/threads.ts";
import { KEYS } from "../http/api/cases.ts";
import { jsonDriver } from "../http/api/driver.ts";
import { freshChannel, textOf, texts } from "../support/client.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { startCli } from "./process.ts";
import { parseMetrics } from "./prometheus.ts";
import { open, startThreads, type ThreadsProcess } from "./threads-process.ts";

const EXTENDED = { encoding: "json", extended: true, capabilities: ["recovery"] } as const;

let server: ThreadsProcess | undefined;
afterEach(async () => {
  server?.terminate();
  await server?.ended;
  server = undefined;
});

async function start(...args: Parameters<typeof startThreads>): Promise<ThreadsProcess> {
  server = await startThreads(...args);
  return server;
}

test("connections are spread evenly, and clients of all threads hear each other", async () => {
  const { url, connections } = await start(2);
  const channel = freshChannel();
  const clients = await Promise.all(Array.from({ length: 40 }, () => open(url)));
  expect(await connections()).toEqual([20, 20]);
  await Promise.all(clients.map((client) => client.subscribe(channel)));
  await Promise.all(clients.map((client, i) => client.publish(channel, `m${i}`)));
  const heard = await Promise.all(clients.map((client) => client.received(40)));
  const [first = []] = heard.map(texts);
  expect(new Set(first).size).toBe(40);
  for (const messages of heard) expect(texts(messages)).toEqual(first);
  for (const client of clients) client.socket.close();
  await eventually(connections, (counts) => counts.join() === "0,0");
});

test("metrics are sums, with figures of each thread, and the page names them", async () => {
  const { url, http } = await start(2, { api: { keys: [KEYS.all.entry] } });
  const clients = await Promise.all(Array.from({ length: 4 }, () => open(url)));
  const channel = freshChannel();
  for (const client of clients) await client.subscribe(channel);
  await clients[0]?.publish(channel, "x");
  for (const client of clients) await client.received(1);
  const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
  const families = parseMetrics(text);
  const value = (name: string, labels = {}) =>
    families.get(name)?.samples.find((one) => JSON.stringify(one.labels) === JSON.stringify(labels))
      ?.value;
  expect(value("messageloop_sessions")).toBe(4);
  expect(value("messageloop_connections")).toBe(4);
  expect(value("messageloop_publications_total")).toBe(1);
  expect(value("messageloop_deliveries_total")).toBe(4);
  expect(value("messageloop_threads")).toBe(2);
  for (const thread of ["0", "1"]) {
    expect(value("messageloop_thread_sessions", { thread })).toBe(2);
    expect(value("messageloop_thread_deaths_total", { thread })).toBe(0);
    expect(value("messageloop_thread_busy_ratio", { thread })).toBeGreaterThan(0);
    expect(value("messageloop_thread_busy_ratio", { thread })).toBeLessThanOrEqual(1);
  }
  // Whichever thread answers.
  for (let i = 0; i < 2; i++) {
    const { body } = await jsonDriver(`http://127.0.0.1:${http}`).call("nodes", {}, KEYS.all.key);
    const nodes = body["nodes"] as JsonObject[];
    expect(nodes.map(({ thread, sessions }) => [thread, sessions])).toEqual([
      [0, 2],
      [1, 2],
    ]);
    const names = nodes.map(({ name }) => `${name}`);
    for (const [place, name] of names.entries())
      expect(name).toMatch(new RegExp(`-${place}-\\d+$`));
    expect(nodes.map(({ deliveries }) => Number(deliveries))).toEqual([2, 2]);
    const kept = nodes.map(({ own_channels: kept }) => Number(kept ?? 0));
    expect(kept.reduce((sum, one) => sum + one)).toBe(1);
  }
  const page = readFileSync(new URL("../../docs/threads.md", import.meta.url), "utf8");
  const named = page.match(/\bmessageloop_threads?_?[a-z_]*/g) ?? [];
  const rendered = [...families.keys()].filter((name) => name.startsWith("messageloop_thread"));
  expect(new Set(named)).toEqual(new Set(rendered));
});

test("a thread that ends is replaced, and its channels say that their epoch is a new one", async () => {
  const { own, kill, ready } = await start(2);
  const [lost, kept] = [freshChannel(), freshChannel()];
  const other = await open(own[0] ?? "", EXTENDED);
  const victim = await open(own[1] ?? "", EXTENDED);
  // Each is kept by the thread that wants it first.
  await victim.subscribe(lost);
  await other.subscribe(kept);
  await other.subscribe(lost);
  await victim.subscribe(kept);
  await other.publish(lost, "before");
  await other.received(1);
  await kill(1);
  await victim.closed();
  expect(await other.next("gap")).toMatchObject({ channel: lost, reason: "epoch_changed" });
  await eventually(ready);
  // It takes connections again, those of its own, too.
  const back = await open(own[1] ?? "", EXTENDED);
  await back.subscribe(lost, kept);
  await back.publish(lost, "after");
  await back.publish(kept, "after, too");
  const messages = await other.received(3);
  expect(texts(messages).sort()).toEqual(["after", "after, too", "before"]);
  const after = messages.find(({ payload }) => textOf(payload) === "after");
  expect(Number(after?.offset)).toBe(1);
});

test("health is not ready while a thread is being replaced", async () => {
  const { http, kill } = await start(2);
  const health = async (): Promise<number | undefined> => {
    // The thread that has the connection may be the one that ends.
    const answer = await fetch(`http://127.0.0.1:${http}/health`).catch(() => undefined);
    return answer?.status;
  };
  expect(await health()).toBe(200);
  await kill(0);
  await eventually(health, (status) => status === 503);
  await eventually(health, (status) => status === 200);
});

test("a thread that hangs is ended and replaced, as is one whose heap is full; an error that nobody catches ends none", async () => {
  const { own, fill, http, loop, ready, throws } = await start(
    2,
    {},
    // On a busy machine a thread may do nothing for a second.
    { hangMs: 4_000, heapMb: 64 },
  );
  const deaths = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
    const { samples = [] } = parseMetrics(text).get("messageloop_thread_deaths_total") ?? {};
    return samples[1]?.value ?? 0;
  };
  const other = await open(own[0] ?? "");
  const thrower = await open(own[1] ?? "");
  await throws(1);
  await thrower.ping();
  for (const ends of [loop, fill]) {
    const before = await deaths();
    const victim = await open(own[1] ?? "");
    await ends(1);
    await victim.closed();
    await eventually(ready);
    await eventually(deaths, (count) => count > before);
  }
  expect(other.close).toBeUndefined();
  server?.terminate();
  const { code, stderr } = await (server as ThreadsProcess).ended;
  expect(code).toBe(0);
  const ends = stderr.split("\n").filter((line) => line.includes("a thread has ended"));
  expect(ends).toHaveLength(2);
  expect(ends[0]).toContain("it did not answer for 4 seconds");
  expect(ends[1]).toMatch(/memory/i);
});

test("three ends of one thread within a minute end the process with one line", async () => {
  const { kill, ended } = await start(2);
  // The last one takes along who would answer.
  for (let death = 0; death < 3; death++) await kill(1).catch(() => {});
  const { code, stderr } = await ended;
  expect(code).toBe(1);
  expect(stderr.split("\n").filter((line) => /3 times within a minute/.test(line))).toHaveLength(1);
});

test("a thread that is busy delays its own clients and no others, and gets no new ones", async () => {
  const { own, url, loop, connections } = await start(2);
  const slow = await open(own[1] ?? "");
  const quick = await open(own[0] ?? "");
  await loop(1, 4_000);
  await sleep(100);
  const answered = slow.ping().then(() => performance.now());
  const began = performance.now();
  for (let i = 0; i < 20; i++) {
    await quick.ping();
    await sleep(50);
  }
  const pings = performance.now() - began;
  // A thread that does not answer for two seconds is passed over.
  await sleep(Math.max(0, 2_800 - (performance.now() - began)));
  const fresh = await Promise.all(Array.from({ length: 4 }, () => open(url)));
  const connected = performance.now() - began;
  expect(pings).toBeLessThan(3_000);
  expect(connected).toBeLessThan(3_900);
  await Promise.all(fresh.map((client) => client.ping()));
  expect((await answered) - began).toBeGreaterThan(3_000);
  expect(await connections()).toEqual([5, 1]);
});

test("there may be so many connections, on whichever thread they are, and one more is refused", async () => {
  const { own, kill, ready } = await start(2, { limits: { connections: 4 } });
  const [one = "", two = ""] = own;
  // All but one of them on one thread.
  const clients = [];
  for (const url of [one, one, one, two]) clients.push(await open(url));
  for (const url of own) await expect(open(url)).rejects.toThrow("3504");
  clients[0]?.socket.close();
  await eventually(() => open(two).catch(() => undefined));
  for (const url of own) await expect(open(url)).rejects.toThrow("3504");
  // With a thread its connections end.
  await kill(0);
  await eventually(ready);
  clients.push(await open(two), await open(two));
  for (const url of own) await expect(open(url)).rejects.toThrow("3504");
});

test("a port that is taken keeps it from starting, with one sentence", async () => {
  const { http } = await start(1 + 1);
  const env = {
    MESSAGELOOP_SERVER_HTTP_ADDR: `127.0.0.1:${http}`,
    MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:0",
    MESSAGELOOP_TRANSPORT_GRPC_ADDR: "127.0.0.1:0",
  };
  const { code, stderr } = await startCli(["serve", "--workers", "2"], { env }).ended;
  expect(stderr.trim()).toMatch(/^the admin listener cannot listen on .*: the port is taken$/);
  expect(code).toBe(2);
});

test("--workers takes a number or auto", async () => {
  for (const text of ["0", "1.5", "many", "65"]) {
    const { code, stderr } = await startCli(["serve", "--workers", text]).ended;
    expect(stderr).toContain('must be "auto" or a whole number from 1 to 64');
    expect(code).toBe(2);
  }
});

test("an older Node says in one sentence that it cannot", () => {
  expect(obstacle("24.20.0")).toBeUndefined();
  expect(obstacle("26.0.0")).toBeUndefined();
  for (const version of ["24.19.9", "22.20.0", "20.20.2"]) {
    expect(obstacle(version)).toBe(
      `more than one worker needs Node 24.20 or newer, and this is ${version}`,
    );
  }
});
