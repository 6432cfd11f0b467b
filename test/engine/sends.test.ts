/** Sessions whose clients send by calls of their own: what opens them, who may send, and what survives a sleep. */
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { SendCall } from "../../src/engine/session/stream/sends.ts";
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { SessionRecordSchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_HELD_MESSAGES } from "../../src/protocol/limits.ts";
import { connect, kinds, ScriptedTransport, scene } from "./scene.ts";

const SECRET = "0123456789abcdefghijkl";
const TERMS = { secret: SECRET, heartbeatIntervalMs: 15_000 };

function ping(id: string, encoding: Encoding = "json"): Frame {
  const message = create(InboundMessageSchema, { id, envelope: { case: "ping", value: {} } });
  return codecFor(encoding).encodeInbound(message);
}

function call(seq: number, ...frames: Frame[]): SendCall {
  return { sessionId: "stream", secret: SECRET, seq: BigInt(seq), frames, encoding: "json" };
}

function opened(encoding: Encoding = "json") {
  const made = scene();
  const transport = new ScriptedTransport();
  const session = made.engine.open(transport, "stream", encoding, TERMS);
  return { ...made, transport, session };
}

async function connected() {
  const made = opened();
  await connect(made.session, "a");
  made.transport.frames.length = 0;
  return made;
}

/** Ids of the pongs that were written. */
function pongs({ frames }: ScriptedTransport): string[] {
  return frames
    .map((frame) => codecFor("json").decodeOutbound(frame))
    .filter(({ envelope }) => envelope.case === "pong")
    .map(({ id }) => id);
}

test("the first message says how to send, and comes as soon as connect is there", async () => {
  const { session, transport } = opened();
  // What is sent by calls must not overtake the connect of a host that has to carry it.
  expect(transport.frames).toEqual([]);
  const connecting = connect(session, "a");
  expect(kinds(transport)).toEqual(["opened"]);
  await connecting;
  const message = codecFor("json").decodeOutbound(transport.frames[0] ?? "");
  expect(message.envelope).toMatchObject({
    case: "opened",
    value: { sessionId: "stream", secret: SECRET, heartbeatIntervalMs: 15_000 },
  });
});

test("messages are taken in their order, and as often as they were sent", async () => {
  const { engine, transport } = await connected();
  expect(await engine.send(call(2, ping("b"), ping("c")))).toBe(0);
  expect(await engine.send(call(1, ping("a")))).toBe(3);
  expect(await engine.send(call(1, ping("a"), ping("b")))).toBe(3);
  expect(await engine.send(call(0))).toBe(3);
  await expect.poll(() => pongs(transport)).toEqual(["a", "b", "c"]);
});

test("messages behind a connect that is being decided wait for it", async () => {
  const { engine, session, transport } = opened();
  const connecting = connect(session, "a");
  expect(await engine.send(call(1, ping("early")))).toBe(1);
  await connecting;
  await expect.poll(() => kinds(transport)).toEqual(["opened", "connected", "pong"]);
});

test("who does not know the secret, or sends to no stream, is told that there is none", async () => {
  const { engine, session, transport } = await connected();
  const frame = ping("x");
  for (const secret of ["", SECRET.slice(1), `${SECRET}0`, `${SECRET.slice(0, -1)}x`, "é"]) {
    expect(await engine.send({ ...call(1, frame), secret })).toBeUndefined();
  }
  expect(await engine.send({ ...call(1, frame), sessionId: "s" })).toBeUndefined();
  expect(await engine.send({ ...call(1, frame), sessionId: "nobody" })).toBeUndefined();
  session.end(true);
  expect(await engine.send(call(1, frame))).toBeUndefined();
  expect(pongs(transport)).toEqual([]);
});

test.each([
  [{ seq: 0n }, "seq counts from 1"],
  [{ seq: 2n ** 53n }, "seq is beyond 2^53 - 1"],
  [{ encoding: "proto" as const }, "the stream is JSON, and so must be what is sent"],
])("%o is refused, and nothing of it is taken", async (change, message) => {
  const { engine, transport } = await connected();
  await expect(engine.send({ ...call(1, ping("x")), ...change })).rejects.toMatchObject({
    code: "BAD_REQUEST",
    message,
  });
  expect(await engine.send(call(1, ping("y")))).toBe(1);
  await expect.poll(() => pongs(transport)).toEqual(["y"]);
});

test("a stream of protobuf takes both encodings", async () => {
  const { engine, session, transport } = opened("proto");
  await connect(session, "a");
  transport.frames.length = 0;
  await engine.send({ ...call(1, ping("a", "proto")), encoding: "proto" });
  await engine.send(call(2, ping("b")));
  const ids = () => transport.frames.map((frame) => codecFor("proto").decodeOutbound(frame).id);
  await expect.poll(ids).toEqual(["a", "b"]);
});

test("a frame is refused as on any connection, and the next is taken", async () => {
  const { engine, transport } = await connected();
  expect(await engine.send(call(1, "no JSON", ping("a")))).toBe(2);
  await expect.poll(() => kinds(transport)).toEqual(["error BAD_REQUEST", "pong"]);
});

describe("what ends the session", () => {
  test("too much out of order", async () => {
    const { engine, transport } = await connected();
    const frames = Array.from({ length: MAX_HELD_MESSAGES + 1 }, () => ping("x"));
    expect(await engine.send(call(2, ...frames))).toBeUndefined();
    expect(transport.closed).toEqual(DISCONNECTS.badRequest);
  });

  test("a message that does not come", async () => {
    const { clock, engine, timers, transport } = await connected();
    await engine.send(call(2, ping("b")));
    clock.time += 5_000;
    timers.fire();
    expect(transport.closed).toEqual(DISCONNECTS.badRequest);
    expect(await engine.send(call(1, ping("a")))).toBeUndefined();
  });

  test("silence; a call is a sign of life, whatever it brings", async () => {
    const { clock, engine, transport } = await connected();
    const { idleTimeoutMs } = engine.settings;
    await engine.send(call(1, ping("a")));
    for (const seq of [1, 0]) {
      clock.time += idleTimeoutMs - 1;
      engine.expire();
      expect(transport.closed).toBeUndefined();
      await engine.send(seq === 0 ? call(0) : call(seq, ping("a")));
    }
    await engine.send({ ...call(1, ping("a")), secret: "another" });
    clock.time += idleTimeoutMs;
    engine.expire();
    expect(transport.closed).toEqual(DISCONNECTS.idleTimeout);
  });
});

test("a session that has slept goes on with the next number, and with the same secret", async () => {
  const { engine, session } = await connected();
  await engine.send(call(1, ping("a"), ping("b")));
  const record = create(SessionRecordSchema, { ...session.record(), marks: session.marks() });

  const later = scene();
  const transport = new ScriptedTransport();
  later.engine.restore(transport, record);
  expect(await later.engine.send({ ...call(2, ping("b")), secret: "x" })).toBeUndefined();
  expect(await later.engine.send(call(2, ping("b"), ping("c")))).toBe(3);
  await expect.poll(() => pongs(transport)).toEqual(["c"]);
});

test("a session of a connection that carries both directions has nothing to send to", async () => {
  const { engine, session } = scene();
  await connect(session, "a");
  for (const secret of ["", SECRET]) {
    expect(await engine.send({ ...call(1, ping("x")), sessionId: "s", secret })).toBeUndefined();
  }
  expect(session.record().streamSecret).toBe("");
});
