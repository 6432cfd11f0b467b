/** What a program that embeds the engine can do to its sessions and channels. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { connect, kinds, scene, send } from "./scene.ts";

const event = create(CloudEventSchema, { id: "e", source: "/server", type: "t" });

test("publish passes the door that clients pass", async () => {
  const { engine } = scene();
  expect(await engine.publish("a", event)).toMatchObject({ position: { offset: 1 } });
  await expect(engine.publish("a.*", event)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  const odd = create(CloudEventSchema, { attributes: { odd: {} } });
  await expect(engine.publish("a", odd)).rejects.toMatchObject({ code: "BAD_REQUEST" });
});

test("subscribe and unsubscribe a session: the client is not told, and gets what is published", async () => {
  const { broker, engine, session, transport } = scene({
    backends: {
      authorizeSubscribe: async () => {
        throw new Error("the server's own wish is not asked for");
      },
    },
  });
  await connect(session);
  expect(await engine.subscribe("s", ["a", "b", "b..c"])).toEqual({
    a: true,
    b: true,
    "b..c": false,
  });
  expect([...broker.wanted]).toEqual(["a", "b"]);
  expect(kinds(transport)).toEqual(["connected"]);
  broker.handler.publications("a", "e", [
    { $typeName: "messageloop.internal.v1.Entry", offset: 1n, time: 1n },
  ]);
  expect(kinds(transport)).toEqual(["connected", "publication"]);
  expect(await engine.unsubscribe("s", ["a", "never"])).toEqual({ a: true, never: true });
  expect(session.channels).toEqual(["b"]);
  expect(await engine.subscribe("nobody", ["a"])).toEqual({ a: false });
  expect(await engine.unsubscribe("nobody", ["a"])).toEqual({ a: false });
});

test("a session that ends while the server subscribes it leaves nothing", async () => {
  const { broker, engine, session } = scene();
  await connect(session);
  const subscribing = engine.subscribe("s", ["late"]);
  session.end(true);
  expect(await subscribing).toEqual({ late: false });
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
