/** `messageloop trace` and its call: who may, what is refused, what is printed, and that it ends by itself. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Client, dial, type WebSocketConstructor, webSocket } from "../../src/index.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { authenticate, made } from "../http/api/cases.ts";
import { eventually } from "../support/eventually.ts";
import { linesOf, runCli } from "./process.ts";

const KEYS = {
  trace: made("trace", ["trace"], ["**"]),
  payloads: made("payloads", ["trace", "trace-payloads"], ["**"]),
  room: made("room", ["trace"], ["room.*"]),
  read: made("read", ["read", "manage", "publish"], ["**"]),
} as const;

let server: Server;
let client: Client;
let api = "";
const audited: [string, unknown][] = [];

beforeAll(async () => {
  const listener = { addr: "127.0.0.1:0" };
  server = createServer({
    config: parseConfig({
      api: { keys: Object.values(KEYS).map(({ entry }) => entry) },
      server: { http: listener, drain_timeout: "1s" },
      transport: { websocket: listener, grpc: listener },
    }),
    backends: { authenticate },
    logger: { warn: () => {}, audit: (message, fields) => audited.push([message, fields]) },
  });
  const ports = await server.start();
  api = `http://127.0.0.1:${ports.http}`;
  const transport = webSocket(WebSocket as unknown as WebSocketConstructor);
  client = await dial(`ws://127.0.0.1:${ports.websocket}/ws`, { transport, token: "ada" });
});

afterAll(async () => {
  await client?.close();
  await server?.stop();
});

async function call(body: object, key = KEYS.trace.key) {
  const response = await fetch(`${api}/messageloop.server.v1.APIService/Trace`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = (await response.json()) as { code?: string; message?: string };
  return answer.code === undefined ? answer : `${answer.code}: ${answer.message}`;
}

test("who may not, and what is no trace, is refused with a code", async () => {
  const { read, room, trace } = KEYS;
  expect(await call({ user: "ada" }, read.key)).toBe(
    "permission_denied: the key has not the right trace",
  );
  expect(await call({ user: "ada", payloads: true }, trace.key)).toBe(
    "permission_denied: the key has not the right trace-payloads",
  );
  expect(await call({ user: "ada" }, room.key)).toBe(
    "permission_denied: the key is for other channels",
  );
  expect(await call({ channel: "other" }, room.key)).toBe(
    "permission_denied: the key is for other channels",
  );
  const either = "invalid_argument: a trace is of either a user or a channel";
  expect(await call({})).toBe(either);
  expect(await call({ user: "ada", channel: "room.a" })).toBe(either);
  expect(await call({ channel: "room.*" })).toBe("invalid_argument: a trace is of one channel");
  expect(await call({ channel: "a..b" })).toMatch(/^invalid_argument: /);
  expect(await call({ user: "ada", duration_ms: 600_001 })).toMatch(/^invalid_argument: .*600000/);
  for (const trace_id of ["x", "99999999999999-a", `${Date.now() + 700_000}-a`]) {
    expect(await call({ user: "ada", trace_id })).toBe("not_found: there is no such trace");
  }
  expect(audited).toEqual([]);
});

test("a trace is audited as well where its caller has made up the id", async () => {
  const { key } = KEYS.trace;
  const body = { user: "ada", trace_id: `${Date.now() + 10_000}-mine` };
  expect(await call(body, key)).toMatchObject({ trace_id: body.trace_id });
  await call(body, key);
  expect(audited.splice(0)).toMatchObject([["a trace has begun", { key: "trace", user: "ada" }]]);
});

test("frames of a user come as objects, until the time is over, and it is audited", async () => {
  const env = { MESSAGELOOP_API_KEY: KEYS.payloads.key };
  const running = runCli(
    ["trace", "--user", "ada", "--payloads", "--for", "3s", "--json", "--api", api],
    { env },
  );
  await eventually(() => audited.length === 1);
  expect(audited[0]).toMatchObject(["a trace has begun", { key: "payloads", user: "ada" }]);
  await client.publish("room.a", "hello");
  const { code, stdout, stderr } = await running;
  expect([code, stderr]).toEqual([0, ""]);
  const frames = linesOf(stdout).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(frames.find(({ kind }) => kind === "publish")).toMatchObject({
    inbound: true,
    channel: "room.a",
    outcome: "taken",
    userId: "ada",
    payload: expect.stringContaining("hello"),
  });
  expect(frames.find(({ kind }) => kind === "publish_ack")).toMatchObject({ outcome: "sent" });
});

test("a command line without a user or a channel is wrong", async () => {
  const { code, stderr } = await runCli(["trace", "--api", api]);
  expect([code, stderr]).toEqual([2, "name either --user or --channel\n"]);
});
