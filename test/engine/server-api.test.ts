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
    proxy: {
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
  engine.publications("a", "e", [
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
