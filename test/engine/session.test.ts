/** The session's clocks and limits, with time in the test's hand. */
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { reconnects } from "../../src/protocol/lean/reconnects.ts";
import { connect, kinds, scene, send, subscribe } from "./scene.ts";

test("without connect the session ends after 10 s, whatever else it sends", async () => {
  const { clock, engine, transport, session } = scene();
  expect(engine.expire()).toEqual({ connect: clock.time + 10_000, idle: undefined });
  clock.time += 9_999;
  await send(session, { envelope: { case: "ping", value: {} } });
  engine.expire();
  expect(transport.closed).toBeUndefined();
  clock.time += 1;
  expect(engine.expire()).toEqual({ connect: undefined, idle: undefined });
  expect(transport.closed).toMatchObject({ code: 3502, reason: "stale" });
  expect(engine.sessionCount).toBe(0);
});

test("a silent session ends after 300 s with 3511; frames and answered heartbeats put it off", async () => {
  const { clock, broker, engine, transport, session } = scene();
  await connect(session, "a");
  clock.time += 200_000;
  await send(session, { envelope: { case: "ping", value: {} } });
  clock.time += 200_000;
  transport.heardAt = clock.time;
  clock.time += 299_999;
  expect(engine.expire()).toEqual({ connect: undefined, idle: clock.time + 1 });
  expect(transport.closed).toBeUndefined();
  clock.time += 1;
  engine.expire();
  expect(transport.closed).toMatchObject({ code: 3511, reason: "idle timeout" });
  expect(broker.wanted.size).toBe(0);
  expect(engine.hub.size).toBe(0);
});

test("the mark of life is saved at most every 15 s", async () => {
  const { clock, transport, session } = scene();
  await connect(session);
  const before = transport.marks;
  for (let i = 0; i < 30; i++) {
    clock.time += 1_000;
    await send(session, { envelope: { case: "ping", value: {} } });
  }
  expect(transport.marks - before).toBe(2);
});

test("one channel more than allowed closes with 3505, in connect as in subscribe", async () => {
  const first = scene({ maxSubscriptions: 2 });
  await connect(first.session, "a", "b", "c");
  expect(first.transport.closed?.code).toBe(3505);
  expect(first.broker.wanted.size).toBe(0);
  const second = scene({ maxSubscriptions: 2 });
  await connect(second.session, "a");
  await send(second.session, subscribe("a", "b"));
  expect(second.transport.closed).toBeUndefined();
  await send(second.session, subscribe("c"));
  expect(second.transport.closed?.code).toBe(3505);
  expect(second.broker.wanted.size).toBe(0);
});

test("too many failing requests close with 3509; a quiet minute forgives", async () => {
  const { clock, transport, session } = scene({ maxErrors: 3 });
  await connect(session);
  const fail = () => session.receive("not json");
  for (let i = 0; i < 3; i++) await fail();
  clock.time += 60_000;
  for (let i = 0; i < 3; i++) await fail();
  expect(transport.closed).toBeUndefined();
  await fail();
  expect(transport.closed).toMatchObject({ code: 3509, reason: "too many errors" });
});

test("a session that ends while it subscribes leaves nothing behind", async () => {
  const { broker, engine, session } = scene();
  await connect(session);
  const subscribing = send(session, subscribe("late"));
  session.end(true);
  await subscribing;
  expect(engine.hub.size).toBe(0);
  expect(broker.wanted.size).toBe(0);
});

test("before it closes, a client with control is told why and whether to come back", async () => {
  const { engine, session, transport } = scene();
  const capabilities = ["control", "unknown"];
  await send(session, { envelope: { case: "connect", value: { capabilities } } });
  expect(await engine.disconnect("s", 3503)).toBe(true);
  expect(await engine.disconnect("s", 3503)).toBe(false);
  expect(kinds(transport)).toEqual(["connected", "disconnect"]);
  const { envelope } = codecFor("json").decodeOutbound(transport.frames[1] ?? "");
  expect(envelope.value).toMatchObject({
    code: 3503,
    reason: "force disconnect",
    reconnect: false,
  });
  expect(transport.closed).toEqual({ code: 3503, reason: "force disconnect" });
});

test("an application's own codes tell by their range whether to come back", async () => {
  expect([1000, 3000, 3500, 4000, 4499, 4500, 4999].map(reconnects)).toEqual([
    true,
    true,
    false,
    true,
    true,
    false,
    false,
  ]);
  const { engine } = scene();
  expect(await engine.disconnect("s", 4000, "moved")).toBe(true);
  expect(await scene().engine.disconnect("s", 1000)).toBe(true);
  for (const code of [0, 999, 1001, 2999, 5000, 4000.5]) {
    await expect(engine.disconnect("s", code)).rejects.toThrow(MessagingError);
  }
});

test("a message kind that is switched off closes with 3508, in connect as well", async () => {
  const first = scene({ disabledMessages: ["subscribe", "rpc_request"] });
  await connect(first.session);
  await send(first.session, subscribe("a"));
  expect(first.transport.closed).toMatchObject({ code: 3508, reason: "not available" });
  const second = scene({ disabledMessages: ["subscribe"] });
  await connect(second.session, "a");
  expect(second.transport.closed?.code).toBe(3508);
  expect(second.broker.wanted.size).toBe(0);
});

test("names of a client that are too long are refused with 3501", async () => {
  for (const value of [{ clientId: "x".repeat(256) }, { clientType: "\u00e4".repeat(128) }]) {
    const { session, transport } = scene();
    await send(session, { envelope: { case: "connect", value } });
    expect(kinds(transport)).toEqual(["error BAD_REQUEST"]);
    expect(transport.closed?.code).toBe(3501);
  }
});

test.each([
  ["subscribe", "a..b"],
  ["subscribe", "a.**.b"],
  ["subscribe", ""],
  ["connect", "a\u0000"],
  ["connect", "x".repeat(256)],
])("[SPEC-U3] a v1 client's %s to a name that is none closes with 3501", async (how, name) => {
  const refuse = async () => {
    throw new MessagingError("ACL_ERROR", "not yours");
  };
  const { session, transport, engine } = scene({ backends: { authorizeSubscribe: refuse } });
  const subscriptions = [{ channel: "denied" }, { channel: name }];
  const first = how === "connect" ? subscriptions : [];
  await send(session, { envelope: { case: "connect", value: { subscriptions: first } } });
  if (how === "subscribe") {
    await send(session, { envelope: { case: "subscribe", value: { subscriptions } } });
  }
  expect(kinds(transport).at(-1)).toBe("error BAD_REQUEST");
  expect(transport.closed).toMatchObject({ code: 3501, reason: "bad request" });
  expect(engine.hub.subscriptions).toBe(0);
});

test("[SPEC-U3] a backend's own BAD_REQUEST about a good name is a refusal: 3500", async () => {
  const refuse = async () => {
    throw new MessagingError("BAD_REQUEST", "not today");
  };
  const { session, transport } = scene({ backends: { authorizeSubscribe: refuse } });
  await send(session, { envelope: { case: "connect", value: {} } });
  await send(session, subscribe("room"));
  expect(transport.closed?.code).toBe(3500);
});
