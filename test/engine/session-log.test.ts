/** What an operator sees of single connections at level debug, and what never gets there. */
import { expect, test } from "vitest";
import type { LogFields } from "../../src/engine/ports/platform.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { connect, type Init, type SceneOptions, scene, send } from "./scene.ts";

const SECRET = "hunter2";
const event = { id: "e", source: "/c", type: "t", specVersion: "1.0" };

function logged(options: SceneOptions = {}) {
  const lines: [string, LogFields][] = [];
  const debug = (message: string, fields: LogFields = {}): void => {
    lines.push([message, fields]);
  };
  return { ...scene({ logger: { warn: () => {}, debug }, ...options }), lines };
}

function publish(channel: string): Init {
  const data = { case: "textData", value: SECRET } as const;
  return { channel, envelope: { case: "publish", value: { ...event, data } } };
}

test("a connection is told when it stands and when it ends, with code and duration", async () => {
  const { engine, clock, transport, lines } = logged({
    backends: { authenticate: async () => ({ userId: "ann" }) },
  });
  const session = engine.accept(transport, "t", "json", { address: "192.0.2.7" });
  const value = { clientId: "phone", clientType: "app", token: SECRET, capabilities: ["control"] };
  await send(session, { envelope: { case: "connect", value } });
  clock.time += 2_500;
  session.close(DISCONNECTS.goingAway, 10);
  session.end(true, 1000);
  expect(lines).toEqual([
    [
      "connected",
      {
        session: "t",
        user: "ann",
        client: "phone",
        clientType: "app",
        address: "192.0.2.7",
        encoding: "json",
        extended: true,
      },
    ],
    [
      "disconnected",
      { session: "t", by: "server", code: 3512, reason: "server going away", seconds: 2.5 },
    ],
  ]);
});

test("a client that goes is told with its code, or with whether it said so", async () => {
  const { engine, session, clock, transport, lines } = logged();
  clock.time += 100;
  session.end(true, 1000);
  engine.accept(transport, "t", "json").end(false);
  expect(lines).toEqual([
    ["disconnected", { session: "s", by: "client", code: 1000, seconds: 0.1 }],
    ["disconnected", { session: "t", by: "client", clean: false, seconds: 0 }],
  ]);
});

test("a refused token is told by code and reason, without the token", async () => {
  const { session, lines } = logged({
    backends: {
      authenticate: async ({ token }) => {
        throw new MessagingError("AUTH_ERROR", `${token} has expired, ${token}!`);
      },
    },
  });
  const value = { clientId: "phone", token: SECRET };
  await send(session, { envelope: { case: "connect", value } });
  expect(lines[0]).toEqual([
    "authentication failed",
    {
      session: "s",
      client: "phone",
      address: "",
      code: "AUTH_ERROR",
      reason: "[redacted] has expired, [redacted]!",
    },
  ]);
  expect(lines.at(-1)).toMatchObject(["disconnected", { by: "server", code: 3500 }]);
  expect(JSON.stringify(lines)).not.toContain(SECRET);
});

test("a backend that is down is told as such, and its own text is not", async () => {
  const { session, lines } = logged({
    backends: { authenticate: () => Promise.reject(new Error(SECRET)) },
  });
  await send(session, { envelope: { case: "connect", value: { token: "t" } } });
  expect(lines[0]).toMatchObject(["authentication failed", { code: "UNAVAILABLE" }]);
  expect(JSON.stringify(lines)).not.toContain(SECRET);
});

test("refused subscriptions and requests are told with their code, without what they carried", async () => {
  const { session, lines } = logged({
    backends: {
      authorizeSubscribe: async ({ channel, token }) => {
        if (channel === "closed") throw new MessagingError("ACL_ERROR", `not with ${token}`);
      },
    },
  });
  await connect(session, "open");
  const subscriptions = [{ channel: "closed", token: SECRET }];
  await send(session, { envelope: { case: "subscribe", value: { subscriptions } } });
  await send(session, publish("a..b"));
  await send(session, publish("x".repeat(5_000)));
  await session.receive(`{"no": "frame", "text": "${SECRET}"`);
  expect(lines.slice(1)).toEqual([
    [
      "subscription refused",
      { session: "s", channel: "closed", code: "ACL_ERROR", reason: "not with [redacted]" },
    ],
    [
      "request refused",
      {
        session: "s",
        kind: "publish",
        channel: "a..b",
        code: "BAD_REQUEST",
        reason: "channel holds an empty word",
      },
    ],
    [
      "request refused",
      {
        session: "s",
        kind: "publish",
        channel: "x".repeat(255),
        code: "BAD_REQUEST",
        reason: expect.stringContaining("255 bytes"),
      },
    ],
    ["frame refused", { session: "s", code: "BAD_REQUEST", bytes: 33 }],
  ]);
  expect(JSON.stringify(lines)).not.toContain(SECRET);
});

test("what a backend answers to an RPC is the client's alone", async () => {
  const { session, lines } = logged({
    backends: { rpc: () => Promise.reject(new MessagingError("OUT_OF_STOCK", SECRET)) },
  });
  await connect(session);
  const data = { case: "textData", value: SECRET } as const;
  await send(session, {
    channel: "c",
    method: "m",
    envelope: { case: "rpcRequest", value: { ...event, data } },
  });
  expect(lines.slice(1)).toEqual([
    ["request refused", { session: "s", kind: "rpcRequest", channel: "c", code: "OUT_OF_STOCK" }],
  ]);
});

test("what is delivered and answered is no line", async () => {
  const { session, lines } = logged();
  await connect(session, "open");
  const { length } = lines;
  await send(session, publish("open"));
  await send(session, { envelope: { case: "ping", value: {} } });
  expect(lines).toHaveLength(length);
});
