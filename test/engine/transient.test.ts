/** Messages outside of every log: to a channel's subscribers of the moment, to sessions, and to users. P12. */
import { create, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { ClientSession, Engine } from "../../src/engine/engine.ts";
import type { Directory, UserSession } from "../../src/engine/ports/directory.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type Transient,
  TransientSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { vectors } from "../support/vectors.ts";
import { listening, since } from "./log-broker.ts";
import { type Init, QuietBroker, ScriptedTransport, sceneWith, send, subscribe } from "./scene.ts";

class LooseBroker extends QuietBroker {
  readonly transmitted: (readonly [channel: string, message: Transient])[] = [];
  async transmit(channel: string, message: Transient): Promise<void> {
    this.transmitted.push([channel, message]);
    this.handler.transients(channel, [message]);
  }
}

const text = (value: string) =>
  create(CloudEventSchema, {
    id: "e1",
    source: "/server",
    type: "t",
    data: { case: "textData", value },
  });

async function client(engine: Engine, id: string, extended: boolean): Promise<ScriptedTransport> {
  const transport = new ScriptedTransport();
  const session: ClientSession = engine.accept(transport, id, "json");
  const value = extended ? { capabilities: ["x"] } : {};
  await send(session, { envelope: { case: "connect", value } } as Init);
  return transport;
}

/** The messages that were delivered, as JSON. */
function messages({ frames }: ScriptedTransport): unknown[] {
  return frames.flatMap((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    if (envelope.case !== "publication") return [];
    return envelope.value.messages.map((one) =>
      toJson(MessageSchema, one, { useProtoFieldName: true }),
    );
  });
}

test("who is subscribed now gets it, by name or by a pattern and once; it has no place in the log", async () => {
  const broker = new LooseBroker();
  const { engine } = sceneWith(broker);
  const extended = await client(engine, "a", true);
  const old = await client(engine, "b", false);
  const both = await client(engine, "c", true);
  const sessions = ["a", "b", "c"].map((id) => engine.session(id) as ClientSession);
  await send(sessions[0] as ClientSession, subscribe("room"));
  await send(sessions[1] as ClientSession, subscribe("room"));
  await send(sessions[2] as ClientSession, subscribe("room", "*", "**"));
  await engine.transmit("room", text("now"), { metadata: { k: "v" } });
  const [[, { id = "" } = {}] = []] = broker.transmitted;
  const payload = { id: "e1", source: "/server", spec_version: "1.0", type: "t", text_data: "now" };
  const told = { id, channel: "room", payload, time: "1000000", metadata: { k: "v" } };
  expect(messages(extended)).toEqual([told]);
  expect(messages(both)).toEqual([told]);
  const { text_data: _, ...context } = payload;
  const forV1 = { ...context, source: "room", binary_data: btoa("now") };
  expect(messages(old)).toEqual([{ id, channel: "room", payload: forV1 }]);
  expect(engine.stats()).toMatchObject({ delivered: 3, published: 1 });
});

test("it passes the door that clients pass", async () => {
  const { engine } = sceneWith(new LooseBroker());
  await expect(engine.transmit("a.*", text(""))).rejects.toMatchObject({ code: "BAD_REQUEST" });
  const odd = create(CloudEventSchema, { attributes: { odd: {} } });
  await expect(engine.transmit("a", odd)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  const long = engine.transmit("a", text("x".repeat(100)), { maxEventBytes: 100 });
  await expect(long).rejects.toMatchObject({ code: "TOO_LARGE" });
  const without = sceneWith(new QuietBroker()).engine.transmit("a", text(""));
  await expect(without).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
});

test("whoever is being told what came before gets it behind that", async () => {
  const { broker, listener } = await listening();
  broker.append(2);
  broker.handed = broker.head;
  broker.reading = () =>
    broker.handler.transients("room", [create(TransientSchema, { id: "t-1", time: 1n })]);
  await listener.subscribe(since(1));
  expect(listener.told()).toEqual(["ack e/2", "replay e/2", "recovered e/2", "live t/0"]);
});

test("many share frames as all messages do", async () => {
  const broker = new LooseBroker();
  const { engine } = sceneWith(broker);
  const transport = await client(engine, "a", true);
  await send(engine.session("a") as ClientSession, subscribe("room"));
  const many = Array.from({ length: 150 }, (_, i) => create(TransientSchema, { id: `t${i}` }));
  const before = transport.frames.length;
  broker.handler.transients("room", many);
  expect(transport.frames.length - before).toBe(2);
  expect(messages(transport)).toHaveLength(150);
});

test("a message to a session is the one of v0.1.1", async () => {
  const { engine } = sceneWith(new LooseBroker());
  const transport = await client(engine, "a", false);
  const [vector] = vectors("server_to_client").filter(
    ({ name }) => name === "publication.server_api_to_session.json",
  );
  const { envelope } = codecFor("json").decodeOutbound(vector?.frame ?? "");
  if (envelope.case !== "publication") throw new Error("the vector is another one");
  const [sent] = envelope.value.messages;
  const event = sent?.payload ?? text("");
  const outcome = await engine.publishToSessions(["a", "nobody", "a"], event, {
    id: sent?.id ?? "",
  });
  expect(outcome).toEqual({ reached: ["a"], connecting: [], failed: new Map() });
  expect(messages(transport)).toEqual([
    toJson(MessageSchema, sent ?? create(MessageSchema), { useProtoFieldName: true }),
  ]);
});

test("a session that has not connected hears nothing, and is told apart from one that there is not", async () => {
  const { engine, transport } = sceneWith(new LooseBroker());
  const outcome = await engine.publishToSessions(["s"], text(""));
  expect(outcome).toEqual({ reached: [], connecting: ["s"], failed: new Map() });
  expect(transport.frames).toEqual([]);
});

class Users implements Directory {
  readonly known = new Map<string, UserSession[]>();
  readonly forgotten: string[] = [];
  async join() {
    return { full: false, revocations: [] };
  }
  leave(): void {}
  async sessions(userId: string): Promise<readonly UserSession[]> {
    return this.known.get(userId) ?? [];
  }
  forget(userId: string, sessionIds: readonly string[]): void {
    this.forgotten.push(...sessionIds.map((id) => `${userId} ${id}`));
  }
  async channels() {
    return { channels: [], next: undefined, asOf: 0 };
  }
}

test("a user is reached on every session, and one that is nowhere is forgotten", async () => {
  const directory = new Users();
  const broker = Object.assign(new LooseBroker(), { directory });
  const { engine } = sceneWith(broker);
  const transports = [await client(engine, "a", true), await client(engine, "b", true)];
  const ids = ["a", "gone", "b"];
  directory.known.set(
    "ann",
    ids.map((sessionId) => ({ sessionId, since: 0 })),
  );
  expect((await engine.publishToUser("ann", text("hello"))).reached).toEqual(["a", "b"]);
  expect(transports.map((one) => messages(one).length)).toEqual([1, 1]);
  expect(directory.forgotten).toEqual(["ann gone"]);
  expect(await engine.disconnectUser("ann", 1000, "bye")).toBe(2);
  expect(transports.map(({ closed }) => closed)).toEqual([
    { code: 1000, reason: "bye" },
    { code: 1000, reason: "bye" },
  ]);
  expect((await engine.publishToUser("bob", text(""))).reached).toEqual([]);
  await expect(engine.publishToUser("", text(""))).rejects.toMatchObject({ code: "BAD_REQUEST" });
});

test("without a directory what concerns users says so", async () => {
  const { engine } = sceneWith(new LooseBroker());
  const missing = { code: "UNIMPLEMENTED", message: expect.stringContaining("directory") };
  await expect(engine.publishToUser("ann", text(""))).rejects.toMatchObject(missing);
  await expect(engine.disconnectUser("ann", 1000)).rejects.toMatchObject(missing);
  const query = { pattern: "**", after: "", limit: 1 };
  await expect(engine.channels(query)).rejects.toMatchObject(missing);
});
