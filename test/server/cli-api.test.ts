/** The commands of the server API, each as a process of its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createCloudEvent,
  dial,
  type MessageLoopClient,
  withClientId,
  withToken,
} from "../../src/client/v0/index.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { authenticate, CHANNELS, KEY_ENTRIES, KEYS } from "../http/api/cases.ts";
import { settledPort } from "../support/ports.ts";
import { type CliOptions, linesOf, type Outcome, runCli } from "./process.ts";

let server: Server;
let url: string;
let api: string;
let folder: string;
const clients: MessageLoopClient[] = [];

beforeAll(async () => {
  const listener = { addr: "127.0.0.1:0" };
  server = createServer({
    config: parseConfig({
      api: { keys: KEY_ENTRIES },
      channels: [
        ...CHANNELS,
        { pattern: "long", history_size: 1_500 },
        { pattern: "short", history_size: 2 },
      ],
      server: { http: listener, drain_timeout: "1s" },
      transport: { websocket: listener, grpc: listener },
    }),
    backends: { authenticate },
  });
  const ports = await server.start();
  url = `ws://127.0.0.1:${ports.websocket}/ws`;
  api = `http://127.0.0.1:${ports.http}`;
  folder = await mkdtemp(join(tmpdir(), "messageloop-cli-"));
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const ALL = { MESSAGELOOP_API_KEY: KEYS.all.key };

/** Runs a command on the API with the key that may do everything. */
function run(args: readonly string[], { env = ALL, ...options }: CliOptions = {}) {
  return runCli([...args, "--api", api], { env, ...options });
}

async function text(args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await run(args);
  expect([code, stderr]).toEqual([0, ""]);
  return linesOf(stdout);
}

async function json(args: readonly string[]): Promise<unknown[]> {
  return (await text([...args, "--json"])).map((line) => JSON.parse(line) as unknown);
}

/** Ends with one line on standard error and nothing else. */
function failed({ code, stdout, stderr }: Outcome): string {
  expect([code, stdout]).toEqual([1, ""]);
  expect(linesOf(stderr)).toHaveLength(1);
  return stderr.trimEnd();
}

async function client(user: string): Promise<MessageLoopClient> {
  const one = await dial(url, [withClientId(""), withToken(user)]);
  clients.push(one);
  return one;
}

/** Publishes numbers, and tells the epoch. */
async function filled(channel: string, count: number): Promise<string> {
  const publisher = await client("publisher");
  const published = Array.from({ length: count }, (_, i) =>
    publisher.publish(channel, createCloudEvent({ source: "/s", type: "t", data: `${i + 1}` })),
  );
  const [first] = await Promise.all(published);
  return first?.epoch ?? "";
}

describe.concurrent("publish", () => {
  test("an event is published once, unless it is wanted otherwise", async () => {
    const event = ["--id", "e", "--source", "/s"];
    const [first] = (await json(["publish", "once", "x", ...event])) as { epoch: string }[];
    expect(first).toEqual({
      channel: "once",
      offset: 1,
      epoch: expect.any(String),
      duplicate: false,
    });
    expect(await text(["publish", "once", "x", ...event])).toEqual([
      `once  ${first?.epoch}-1  duplicate`,
    ]);
    expect(await text(["publish", "once", "x", "--no-dedup", ...event])).toEqual([
      `once  ${first?.epoch}-2`,
    ]);
  });

  test("what is transient is in no log", async () => {
    const listener = await client("listener");
    const heard: unknown[] = [];
    listener.onMessage((messages) => heard.push(...messages.map(({ event }) => event.data)));
    await listener.subscribe("live");
    expect(await json(["publish", "live", "now", "--transient"])).toEqual([
      { channel: "live", transient: true },
    ]);
    await expect.poll(() => heard).toEqual(["now"]);
    const { position } = await server.engine.history("live", { limit: 0 });
    expect(position.offset).toBe(0);
  });

  test.each([
    [["publish", "a.*", "x"], {}, /^BAD_REQUEST: channel is a pattern/],
    [["publish", "a", "x"], { MESSAGELOOP_API_KEY: KEYS.read.key }, /^ACL_ERROR: /],
    [["history", "a"], { MESSAGELOOP_API_KEY: "wrong" }, /^AUTH_ERROR: /],
    [["presence", "hidden.a"], {}, /^BAD_REQUEST: presence is switched off for this channel/],
  ])("what the server refuses is one line and exit code 1: %j", async (args, env, line) => {
    expect(failed(await run(args, { env: { ...ALL, ...env } }))).toMatch(line);
  });
});

describe.concurrent("history", () => {
  test("a log is printed whole, or from a place on", async () => {
    const epoch = await filled("log", 5);
    const all = await text(["history", "log"]);
    expect(all.map((line) => line.split("  ").slice(1).join("  "))).toEqual(
      [1, 2, 3, 4, 5].map((offset) => `${epoch}-${offset}  t  ${offset}`),
    );
    const before = ["--reverse", "--limit", "2", "--since", `${epoch}-4`];
    expect(await json(["history", "log", ...before])).toMatchObject([
      { id: `${epoch}-3`, channel: "log", offset: 3, event: { data: "3" } },
      { id: `${epoch}-2`, offset: 2 },
      { head: { epoch, offset: 5 } },
    ]);
  });

  test("more than one page is printed", async () => {
    await filled("long", 1_003);
    const all = (await json(["history", "long"])) as { offset?: number }[];
    expect(all.flatMap(({ offset }) => offset ?? [])).toEqual(
      Array.from({ length: 1_003 }, (_, i) => i + 1),
    );
  });

  test("what is missing is said", async () => {
    const epoch = await filled("short", 5);
    const args = ["history", "short", "--since", `${epoch}-1`, "--limit", "1"];
    expect(await json(args)).toMatchObject([
      { gap: { channel: "short", reason: "head_trimmed", until: { epoch, offset: 3 } } },
      { offset: 4 },
      { head: { epoch, offset: 5 } },
    ]);
  });
});

describe.concurrent("presence", () => {
  test("members are a line each, or one object", async () => {
    for (const user of ["ann", "ben"]) await (await client(user)).subscribe("room");
    const some = await run(["presence", "room", "--limit", "1"]);
    expect(some).toMatchObject({ code: 0, stderr: "and 1 more\n" });
    expect(some.stdout).toMatch(/^\d{4}-\S+Z {2}user ann\n$/);
    expect(await json(["presence", "room"])).toEqual([
      {
        channel: "room",
        total: 2,
        members: ["ann", "ben"].map((userId) => ({
          ...{ userId, clientId: "", sessionId: "" },
          time: expect.any(Number),
        })),
      },
    ]);
    expect(await run(["presence", "nobody"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "nobody is present in nobody\n",
    });
  });
});

describe.concurrent("channels", () => {
  test("channels are listed with their members", async () => {
    await (await client("ann")).subscribe("list.a", "list.b");
    await (await client("ben")).subscribe("list.b");
    expect(await text(["channels", "list.*"])).toEqual([
      "MEMBERS  CHANNEL",
      "      1  list.a",
      "      2  list.b",
    ]);
    expect(await json(["channels", "list.*", "--limit", "1"])).toEqual([
      { channel: "list.a", members: 1 },
    ]);
  });
});

describe.concurrent("disconnect", () => {
  test("sessions and users are ended, and each is told of", async () => {
    const [one, two, three] = [await client("eve"), await client("eve"), await client("dan")];
    const codes: number[] = [];
    for (const each of [one, two, three]) each.onClosed(({ code }) => codes.push(code));
    const session = three.getSessionId() ?? "";
    expect(
      await json(["disconnect", session, "none", "--code", "4001", "--reason", "why"]),
    ).toEqual([
      { session, ended: true },
      { session: "none", ended: false },
    ]);
    expect(await text(["disconnect", "--user", "eve", "--user", "fay"])).toEqual([
      "user eve  2 sessions ended",
      "user fay  0 sessions ended",
    ]);
    await expect.poll(() => codes).toEqual([4001, 3503, 3503]);
  });
});

describe.concurrent("revoke", () => {
  test("all tokens of users are revoked, and single ones of one user", async () => {
    const rex = await client("rex");
    const codes: number[] = [];
    rex.onClosed(({ code }) => codes.push(code));
    const note = "the server forgets this when it ends";
    const single = await run(["revoke", "rex", "--token", "t1", "--token", "t2", "--json"]);
    expect([single.code, linesOf(single.stderr)]).toEqual([0, [note]]);
    expect(linesOf(single.stdout).map((line) => JSON.parse(line))).toEqual([
      { user: "rex", token: "t1", revoked: true },
      { user: "rex", token: "t2", revoked: true },
    ]);
    expect(codes).toEqual([]);
    const until = new Date(Date.now() + 86_400_000).toISOString();
    const outcome = await run(["revoke", "rex", "sue", "--until", until]);
    expect([outcome.code, linesOf(outcome.stderr)]).toEqual([0, [note]]);
    expect(linesOf(outcome.stdout)).toEqual(["user rex  revoked", "user sue  revoked"]);
    await expect.poll(() => codes).toEqual([3500]);
  });

  test("what is refused is told of by itself, and a wrong command line before", async () => {
    const long = "x".repeat(256);
    const { code, stdout, stderr } = await run(["revoke", long, "tom", "--json"]);
    expect(code).toBe(1);
    expect(linesOf(stdout).map((line) => JSON.parse(line))).toEqual([
      { user: long, error: { code: "BAD_REQUEST", message: expect.stringContaining("longer") } },
      { user: "tom", revoked: true },
    ]);
    expect(stderr).toContain("BAD_REQUEST");
    for (const args of [["tom", "uma", "--token", "t1"], ["tom", "--until", "tomorrow"], []]) {
      expect(await run(["revoke", ...args])).toMatchObject({ code: 2, stdout: "" });
    }
  });
});

describe.concurrent("the key", () => {
  const noKey = { MESSAGELOOP_API_KEY: "" };

  test("is read from a file before the environment, and from the one of this folder", async () => {
    const file = join(folder, "key");
    await writeFile(file, `${KEYS.all.key}\n`);
    const env = { MESSAGELOOP_API_KEY: "wrong" };
    expect(await run(["channels", "--key-file", file], { env })).toMatchObject({ code: 0 });
    const here = await mkdtemp(join(folder, "here-"));
    await writeFile(join(here, ".messageloop-dev-key"), `${KEYS.all.key}\n`);
    expect(await run(["channels"], { env: noKey, cwd: here })).toMatchObject({ code: 0 });
    const [, host = ""] = api.split("127.0.0.1");
    const elsewhere = ["channels", "--api", `http://messageloop.invalid${host}`];
    expect(await runCli(elsewhere, { env: noKey, cwd: here })).toMatchObject({ code: 2 });
  });

  test.each([
    ["none", [], "there is no key: use --key-file or MESSAGELOOP_API_KEY"],
    [
      "a missing file",
      ["--key-file", "/nowhere/key"],
      "cannot read /nowhere/key: there is no such file",
    ],
    [
      "a file of something else",
      ["--key-file", import.meta.filename],
      /cli-api.test.ts holds no key$/,
    ],
  ])("%s: one line and exit code 2", async (_, args, line) => {
    const outcome = await run(["channels", ...args], { env: noKey, cwd: folder });
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    const matched = line instanceof RegExp ? expect.stringMatching(line) : line;
    expect(linesOf(outcome.stderr)).toEqual([matched]);
  });

  test("cannot be an argument, which others can read", async () => {
    const outcome = await run(["channels", "--key", KEYS.all.key]);
    expect(outcome).toMatchObject({ code: 2, stdout: "" });
    expect(outcome.stderr).toContain("unknown option '--key'");
  });
});

describe.concurrent("a server that is none", () => {
  test("nobody listens", async () => {
    const nowhere = `http://127.0.0.1:${await settledPort("serve")}`;
    const outcome = await runCli(["channels", "--api", nowhere], { env: ALL });
    expect(failed(outcome)).toMatch(/^cannot reach http:\S+: connect ECONNREFUSED/);
  });

  test("it has no API, closes, or answers something else", async () => {
    const other = createHttpServer((request, response) => {
      if (request.url?.startsWith("/closes") === true) request.socket.destroy();
      else if (request.url?.startsWith("/html") === true) {
        response.setHeader("content-type", "text/html").end("<p>");
      } else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const said = async (path: string) =>
      failed(await runCli(["channels", "--api", `${base}${path}`], { env: ALL }));
    expect(await said("/")).toBe(`there is no server API at ${base}`);
    expect(await said("/closes")).toMatch(/^cannot reach http:\S+: /);
    expect(await said("/html")).toMatch(/^cannot reach http:\S+: /);
    other.close();
  });
});
