/** What Workers logs hold of single connections when the deployment asks for it, and that they hold nothing else. */
import { createExecutionContext, env, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { consoleLoggerAt } from "../../src/worker/platform.ts";
import { createWorker } from "../../src/worker/worker.ts";

const TOKEN = "hunter2";
const upgrade = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "CF-Connecting-IP": "192.0.2.7",
};

afterEach(() => {
  vi.restoreAllMocks();
});

function at(level: string): Env {
  return { ...env, messageloop: { server: { log_level: level } } } as unknown as Env;
}

/** What was written to the console at a level. */
function written(level: "debug" | "info" | "warn") {
  const spy = vi.spyOn(console, level).mockImplementation(() => {});
  return () => spy.mock.calls.map(([line]) => JSON.parse(`${line}`) as Record<string, unknown>);
}

test("a level writes itself and what is graver", () => {
  const lines = { debug: written("debug"), info: written("info"), warn: written("warn") };
  for (const level of ["debug", "info", "warn", "error"] as const) {
    const logger = consoleLoggerAt(level);
    logger.debug?.(level);
    logger.info?.(level);
    logger.warn(level);
  }
  const levels = (read: () => Record<string, unknown>[]) => read().map(({ message }) => message);
  expect(levels(lines.debug)).toEqual(["debug"]);
  expect(levels(lines.info)).toEqual(["debug", "info"]);
  expect(levels(lines.warn)).toEqual(["debug", "info", "warn"]);
});

test("an origin that is not allowed is told with the setting that would allow it", async () => {
  const lines = written("debug");
  const headers = { ...upgrade, Origin: "https://elsewhere.example" };
  const request = new Request("https://app.example/ws", { headers });
  for (const level of ["info", "debug"]) {
    const answer = await createWorker().fetch?.(
      request as never,
      at(level),
      createExecutionContext(),
    );
    expect(answer?.status).toBe(403);
  }
  expect(lines()).toMatchObject([
    { level: "debug", message: "upgrade refused", address: "192.0.2.7", status: 403 },
  ]);
  expect(lines()[0]?.["reason"]).toContain("transport.websocket.allowed_origins");
});

test("a connection is told from its beginning to its end, without its token", async () => {
  const lines = written("debug");
  const stub = exports.GatewayDurableObject.getByName("debug-log");
  await runInDurableObject(stub, async (_, state) => {
    const gateway = new GatewayDurableObject(state, at("debug"));
    gateway.fetch(new Request("https://app.example/ws", { headers: upgrade }));
    const [socket] = state.getWebSockets();
    if (socket === undefined) throw new Error("there is no socket");
    const connect = { client_id: "phone", token: TOKEN };
    await gateway.webSocketMessage(socket, JSON.stringify({ id: "1", connect }));
    gateway.webSocketClose(socket, 4321, "");
  });
  expect(lines()).toMatchObject([
    { message: "connected", client: "phone", address: "192.0.2.7", encoding: "json" },
    { message: "disconnected", by: "client", code: 4321, seconds: expect.any(Number) },
  ]);
  expect(JSON.stringify(lines())).not.toContain(TOKEN);
});
