/** [SPEC-S15] One session's failure: it ends that session with 1011 and no other, is logged and counted. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { ClientSession } from "../../src/engine/engine.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Entry } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { connect, type Init, kinds, ScriptedTransport, scene, send, subscribe } from "./scene.ts";

const event = create(CloudEventSchema, { id: "1", source: "/s", type: "t", specVersion: "1.0" });
const publish: Init = { channel: "room", envelope: { case: "publish", value: event } };
const ping: Init = { envelope: { case: "ping", value: {} } };

/** A transport one of whose methods throws. */
class BrokenTransport extends ScriptedTransport {
  readonly #broken: keyof ScriptedTransport;
  on = false;
  constructor(broken: keyof ScriptedTransport) {
    super();
    this.#broken = broken;
  }
  override write(...all: Parameters<ScriptedTransport["write"]>): void {
    this.#try("write");
    super.write(...all);
  }
  override close(...all: Parameters<ScriptedTransport["close"]>): void {
    super.close(...all);
    this.#try("close");
  }
  override save(): void {
    this.#try("save");
  }
  override mark(): void {
    this.#try("mark");
    super.mark();
  }
  override heard(): number {
    this.#try("heard");
    return super.heard();
  }
  #try(method: keyof ScriptedTransport): void {
    if (this.on && method === this.#broken) throw new Error(`${method} is broken`);
  }
}

/** A session on either side of one whose transport is broken. */
async function threeSessions(broken: keyof ScriptedTransport) {
  const world = scene();
  const { engine, session: first, transport } = world;
  const bad = new BrokenTransport(broken);
  const last = new ScriptedTransport();
  const sessions: [ClientSession, ClientSession, ClientSession] = [
    first,
    engine.accept(bad, "bad", "json"),
    engine.accept(last, "last", "json"),
  ];
  for (const session of sessions) await connect(session, "room");
  bad.on = true;
  return { ...world, first, sessions, transports: [transport, bad, last] as const };
}

function publication({ handler }: ReturnType<typeof scene>["broker"]): void {
  handler.gap("room", {
    reason: "unavailable",
    after: undefined,
    until: { epoch: "e", offset: 1 },
  });
  handler.presenceLost("room", "e", { members: [], total: 0, generation: 1 });
}

test("a transport that throws in a broadcast ends its own session, and the others hear", async () => {
  const { broker, engine, sessions, transports } = await threeSessions("save");
  publication(broker);
  expect(sessions.map(({ ended }) => ended)).toEqual([false, true, false]);
  expect(transports[1].closed?.code).toBe(1011);
  expect(engine.stats().internalErrors).toBe(1);
});

test("a write that throws ends that session with 1011", async () => {
  const { engine, sessions, transports } = await threeSessions("write");
  for (const session of sessions) await send(session, ping);
  expect(sessions.map(({ ended }) => ended)).toEqual([false, true, false]);
  expect(transports[1].closed?.code).toBe(1011);
  expect(kinds(transports[2]).at(-1)).toBe("pong");
  expect(engine.sessionCount).toBe(2);
  expect([...engine.hub.subscribers("room")].map(({ id }) => id)).toEqual(["s", "last"]);
});

test("marks are saved one by one: one that cannot be saved ends that session alone", async () => {
  const { engine, sessions, transports, timers } = await threeSessions("mark");
  for (const session of sessions) await send(session, ping);
  const before = transports.map(({ marks }) => marks);
  timers.fire();
  expect(transports.map(({ marks }, i) => marks - (before[i] ?? 0))).toEqual([1, 0, 1]);
  expect(transports[1].closed?.code).toBe(1011);
  expect(engine.sessionCount).toBe(2);
});

test("a look for silent sessions that meets a broken one goes on behind it", async () => {
  const { engine, clock, transports } = await threeSessions("heard");
  clock.time += DEFAULT_SETTINGS.idleTimeoutMs + 1;
  engine.expire();
  expect(transports.map(({ closed }) => closed?.code)).toEqual([3511, 1011, 3511]);
});

test("a session whose transport cannot even be closed leaves nothing behind", async () => {
  const { engine, sessions } = await threeSessions("close");
  sessions[1].close({ code: 3503, reason: "force disconnect" });
  expect(engine.sessionCount).toBe(2);
  expect([...engine.hub.subscribers("room")].map(({ id }) => id)).toEqual(["s", "last"]);
  expect(engine.stats().disconnects).toEqual({ 3503: 1 });
});

test("a subscribe that fails half way is answered, and closes with 1011", async () => {
  const { engine, sessions, transports } = await threeSessions("save");
  await send(sessions[1], subscribe("other"));
  expect(kinds(transports[1]).at(-1)).toBe("error INTERNAL_ERROR");
  expect(transports[1].closed?.code).toBe(1011);
  expect(engine.hub.hasDirectSubscriber("other")).toBe(false);
});

test("frames that waited behind connect count while they are worked on, and give back what they took", async () => {
  const { promise, resolve } = Promise.withResolvers<{ userId: string }>();
  const answer = Promise.withResolvers<undefined>();
  const backends = { authenticate: () => promise, rpc: () => answer.promise };
  const rpc: Init = { id: "rpc", envelope: { case: "rpcRequest", value: event } };
  const { session, transport } = scene({ backends, maxOpenRequestBytes: 300 });
  const connecting = connect(session);
  for (let i = 0; i < 4; i++) await send(session, { ...rpc, metadata: { pad: "x".repeat(20) } });
  resolve({ userId: "u" });
  await connecting;
  expect(kinds(transport)).toEqual(["connected", "error RATE_LIMITED", "error RATE_LIMITED"]);
  answer.reject(new Error("gone"));
  await expect.poll(() => kinds(transport).length).toBe(5);
  // All of it is given back: as much as before fits again.
  await send(session, publish);
  expect(kinds(transport).at(-1)).toBe("publishAck");
});

test("work that throws gives back the bytes that it held open", async () => {
  const broken = new BrokenTransport("save");
  const { engine } = scene({ maxOpenRequestBytes: 500 });
  const session = engine.accept(broken, "t", "json");
  await connect(session);
  for (let i = 0; i < 20; i++) {
    await send(session, { id: "x".repeat(100), envelope: { case: "publish", value: {} } });
  }
  expect(new Set(kinds(broken))).toEqual(new Set(["connected", "error INTERNAL_ERROR"]));
});

test("a broker that throws what is no error of ours ends nobody", async () => {
  const { session, transport, broker, engine } = scene();
  await connect(session);
  broker.publish = async () => {
    // What cannot even be made a text of.
    throw Object.create(null);
  };
  await send(session, publish);
  expect(kinds(transport)).toEqual(["connected", "error INTERNAL_ERROR"]);
  expect(engine.stats().internalErrors).toBe(1);
});

test("what a broker brings that cannot be handed over is counted, and the broker never hears of it", async () => {
  const { broker, engine, session } = scene();
  await connect(session, "room");
  const damaged = { offset: 1n, time: 1n } as Entry;
  broker.handler.publications("room", "e", [damaged, undefined as unknown as Entry]);
  expect(engine.stats().internalErrors).toBe(1);
  expect(session.ended).toBe(false);
});
