/** What a program that embeds the engine can do to its sessions and channels. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { connect, connectWith, kinds, type ScriptedTransport, scene, send } from "./scene.ts";

const event = create(CloudEventSchema, { id: "e", source: "/server", type: "t" });

/** What the client was told of its subscriptions, message by message. */
function changes({ frames }: ScriptedTransport) {
  return frames.flatMap((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    const told = envelope.case === "subscribed" || envelope.case === "unsubscribed";
    return told ? [envelope.value.subscriptions] : [];
  });
}

test("publish passes the door that clients pass", async () => {
  const { engine } = scene();
  expect(await engine.publish("a", event)).toMatchObject({ position: { offset: 1 } });
  await expect(engine.publish("a.*", event)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  const odd = create(CloudEventSchema, { attributes: { odd: {} } });
  await expect(engine.publish("a", odd)).rejects.toMatchObject({ code: "BAD_REQUEST" });
});

test("subscribe and unsubscribe a session: a client without control is not told, and gets what is published", async () => {
  const { broker, engine, session, transport } = scene({
    backends: {
      authorizeSubscribe: async () => {
        throw new Error("the server's own wish is not asked for");
      },
    },
  });
  await connect(session);
  expect(await engine.subscribe("s", ["a", "b", "b..c"])).toMatchObject({
    results: { a: true, b: true, "b..c": false },
    errors: { "b..c": { code: "BAD_REQUEST" } },
  });
  expect([...broker.wanted]).toEqual(["a", "b"]);
  expect(kinds(transport)).toEqual(["connected"]);
  broker.handler.publications("a", "e", [
    { $typeName: "messageloop.internal.v1.Entry", offset: 1n, time: 1n },
  ]);
  expect(kinds(transport)).toEqual(["connected", "publication"]);
  expect(await engine.unsubscribe("s", ["a", "never"])).toEqual({ a: true, never: true });
  expect(session.channels).toEqual(["b"]);
  expect(await engine.subscribe("nobody", ["a"])).toEqual({ results: { a: false }, errors: {} });
  expect(await engine.unsubscribe("nobody", ["a"])).toEqual({ a: false });
});

test("from the server's side a session gets no more channels than it may have, and goes on", async () => {
  const { engine, session } = scene({ maxSubscriptions: 3 });
  await connect(session, "a");
  expect(await engine.subscribe("s", ["b", "a", "c", "d", "e"])).toMatchObject({
    results: { b: true, a: true, c: true, d: false, e: false },
    errors: {
      d: { code: "BAD_REQUEST", message: "a session has at most 3 channels and patterns" },
      e: { code: "BAD_REQUEST" },
    },
  });
  expect(session.channels).toEqual(["a", "b", "c"]);
  await engine.unsubscribe("s", ["b"]);
  expect(await engine.subscribe("s", ["d"])).toEqual({ results: { d: true }, errors: {} });
  // Together they are as many as one call may not bring either.
  await engine.unsubscribe("s", ["a", "d"]);
  const calls = await Promise.all([
    engine.subscribe("s", ["f", "g"]),
    engine.subscribe("s", ["h"]),
  ]);
  expect(calls).toMatchObject([{ errors: {} }, { results: { h: false } }]);
  expect(session.ended).toBe(false);
});

test("a client with control is told what it was granted and what it had", async () => {
  const { engine, session, transport } = scene();
  await connectWith(session, { capabilities: ["control"] });
  await engine.subscribe("s", ["a", "b..c", "b", "a"]);
  await engine.subscribe("s", ["b..c"]);
  await engine.unsubscribe("s", ["never", "b"]);
  await engine.unsubscribe("s", ["never"]);
  expect(kinds(transport)).toEqual(["connected", "subscribed", "unsubscribed"]);
  const position = expect.objectContaining({ epoch: "e", offset: 0n });
  expect(changes(transport)).toMatchObject([
    [
      { channel: "a", position },
      { channel: "b", position },
    ],
    [{ channel: "b" }],
  ]);
});

test("what is told keeps to what the client reads", async () => {
  const names = Array.from({ length: 200 }, (_, i) => `${"word.".repeat(40)}${i}`);
  for (const [maxFrameBytes, most] of [
    [0, 16_384],
    [4_096, 4_096],
  ] as const) {
    const { engine, session, transport } = scene({ maxMessageBytes: 16_384 });
    await connectWith(session, { capabilities: ["control"], maxFrameBytes });
    await engine.subscribe("s", names);
    await engine.unsubscribe("s", names);
    expect(Math.max(...transport.frames.map(({ length }) => length))).toBeLessThanOrEqual(most);
    const told = changes(transport).flat();
    expect(told.map(({ channel }) => channel)).toEqual([...names, ...names]);
  }
});

test("what connect asks for cannot be taken away while it is being decided", async () => {
  const { promise: decided, resolve: decide } = Promise.withResolvers<void>();
  const { broker, engine, session, transport } = scene({
    backends: { authorizeSubscribe: () => decided },
  });
  const connecting = connect(session, "a");
  expect(await engine.unsubscribe("s", ["a"])).toEqual({ a: false });
  decide();
  await connecting;
  expect(kinds(transport)).toEqual(["connected"]);
  expect([session.channels, [...broker.wanted]]).toEqual([["a"], ["a"]]);
});

test("a session that ends while the server subscribes it leaves nothing", async () => {
  const { broker, engine, session } = scene();
  await connect(session);
  const subscribing = engine.subscribe("s", ["late"]);
  session.end(true);
  expect(await subscribing).toMatchObject({ results: { late: false } });
  expect(broker.wanted.size).toBe(0);
});

test("sessions can be looked up", async () => {
  const { engine, session, transport } = scene();
  await send(session, { envelope: { case: "connect", value: { clientId: "me" } } });
  expect(engine.sessions().map(({ id, clientId }) => [id, clientId])).toEqual([["s", "me"]]);
  expect(engine.session("s")?.connected).toBe(true);
  expect(codecFor("json").decodeOutbound(transport.frames[0] ?? "").envelope.case).toBe(
    "connected",
  );
});

test("a value of no such kind is BAD_REQUEST at every door of the server's side", async () => {
  const { engine, session, transport } = scene();
  await connect(session, "a");
  const refused = { code: "BAD_REQUEST" };
  const wrong = [undefined, null, 42, Number.NaN, {}, Symbol("s"), "\ud800"] as never[];
  for (const channel of wrong) {
    await expect(engine.publish(channel, event)).rejects.toMatchObject(refused);
    await expect(engine.history(channel, { limit: 1 })).rejects.toMatchObject(refused);
    await expect(engine.removeHistory(channel)).rejects.toMatchObject(refused);
    await expect(engine.presenceOf(channel)).rejects.toMatchObject(refused);
  }
  for (const limit of [Number.NaN, 0.5, -2, Number.POSITIVE_INFINITY, "1", 1n] as never[]) {
    await expect(engine.history("a", { limit })).rejects.toMatchObject(refused);
    await expect(engine.presenceOf("a", limit)).rejects.toMatchObject(refused);
  }
  for (const offset of [Number.NaN, -1, 0.5, 2 ** 53, 1n, "1"] as never[]) {
    const since = { epoch: "e", offset };
    await expect(engine.history("a", { limit: 1, since })).rejects.toMatchObject(refused);
  }
  for (const timeoutMs of [Number.NaN, -1, "soon", {}] as never[]) {
    await expect(engine.survey("a", event, { timeoutMs })).rejects.toMatchObject(refused);
  }
  for (const reason of [42, null, {}] as never[]) {
    await expect(engine.disconnect("s", 4000, reason)).rejects.toMatchObject(refused);
  }
  for (const code of [Number.NaN, 4000.5, 1005, "4000"] as never[]) {
    await expect(engine.disconnect("s", code)).rejects.toMatchObject(refused);
  }
  expect(transport.closed).toBeUndefined();
  expect(await engine.disconnect("s", 4000, "half \ud800")).toBe(true);
  expect(transport.closed).toEqual({ code: 4000, reason: "half \ufffd" });
});
