/** What a client has not taken in, and how fast it may speak. */
import { expect, test } from "vitest";
import { TokenBucket } from "../../src/engine/token-bucket.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { sized } from "../../src/protocol/publication-frames.ts";
import { connect, type Init, kinds, scene, send } from "./scene.ts";

const MIB = 1024 * 1024;
const ping = { envelope: { case: "ping", value: {} } } as const;
const credit: Init = { envelope: { case: "connect", value: { capabilities: ["credit"] } } };

function frame(bytes: number) {
  return { ...sized("x"), bytes };
}

test("a client without credit may be sent 32 MiB between two signs of life", async () => {
  const { engine, session, transport } = scene();
  await connect(session);
  session.write(frame(31 * MIB));
  await send(session, ping);
  session.write(frame(31 * MIB));
  transport.heardAt = 5;
  session.write(frame(2 * MIB));
  expect(transport.closed).toBeUndefined();
  session.write(frame(31 * MIB));
  expect(transport.closed).toBeUndefined();
  session.write(frame(2 * MIB));
  expect(transport.closed).toMatchObject({ code: 3510, reason: "slow consumer" });
  expect(engine.stats()).toMatchObject({ sessions: 0, disconnects: { 3510: 1 } });
});

test("a client with credit may leave 8 MiB unacknowledged, whatever else it says", async () => {
  const { session, transport } = scene();
  await send(session, credit);
  const { envelope } = codecFor("json").decodeOutbound(transport.frames[0] ?? "");
  expect(envelope.value).toMatchObject({
    capabilities: ["credit"],
    creditBytes: 8n * 1024n * 1024n,
  });
  session.write(frame(7 * MIB));
  await send(session, { envelope: { case: "received", value: { bytes: 7n * 1024n * 1024n } } });
  session.write(frame(7 * MIB));
  await send(session, ping);
  expect(transport.closed).toBeUndefined();
  session.write(frame(2 * MIB));
  expect(transport.closed?.code).toBe(3510);
});

test("what was sent and received outlives a sleep", async () => {
  const first = scene();
  await send(first.session, credit);
  first.session.write(frame(6 * MIB));
  const record = { ...first.session.record(), marks: first.session.marks() };
  const second = scene();
  const restored = second.engine.restore(second.transport, record);
  restored.write(frame(3 * MIB));
  expect(second.transport.closed?.code).toBe(3510);
});

test("one timer saves the marks of all sessions that were written to", async () => {
  const { engine, session, timers, transport } = scene();
  await connect(session);
  timers.fire();
  const before = transport.marks;
  for (let i = 0; i < 100; i++) session.write(frame(1));
  expect(transport.marks).toBe(before);
  timers.fire();
  expect(transport.marks).toBe(before + 1);
  session.write(frame(1));
  session.end(true);
  timers.fire();
  expect(transport.marks).toBe(before + 1);
  expect(engine.sessionCount).toBe(0);
});

test("received without the capability is BAD_REQUEST", async () => {
  const { session, transport } = scene();
  await connect(session);
  await send(session, { envelope: { case: "received", value: { bytes: 1n } } });
  expect(kinds(transport).at(-1)).toBe("error BAD_REQUEST");
});

test("a token bucket gives its burst, then its rate, and says how long to wait", () => {
  const bucket = new TokenBucket(2, 3, 0);
  expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([0, 0, 0, 500]);
  expect(bucket.take(250)).toBe(250);
  expect(bucket.take(500)).toBe(0);
  expect(bucket.take(100)).toBe(500);
  expect([0, 0, 0, 0].map(() => bucket.take(60_000))).toEqual([0, 0, 0, 500]);
});

test("too many publishes and too many bytes under way are RATE_LIMITED and do not count as failing", async () => {
  const publish = {
    channel: "a",
    envelope: { case: "publish", value: { id: "e", source: "/s", type: "t" } },
  } as const;
  const { clock, session, transport } = scene({
    publishesPerSecond: 1,
    publishBurst: 2,
    maxErrors: 1,
  });
  await connect(session);
  for (let i = 0; i < 4; i++) await send(session, publish);
  const limited = "error RATE_LIMITED";
  expect(kinds(transport).slice(1)).toEqual(["publishAck", "publishAck", limited, limited]);
  expect(`${transport.frames.at(-1)}`).toContain('"retry_after_ms":1000');
  clock.time += 1_000;
  await send(session, publish);
  expect(kinds(transport).at(-1)).toBe("publishAck");
  expect(transport.closed).toBeUndefined();

  const never = new Promise<undefined>(() => {});
  const full = scene({ backends: { rpc: () => never }, maxOpenRequestBytes: 100 });
  await connect(full.session);
  const rpc: Init = {
    envelope: { case: "rpcRequest", value: { id: "e", source: "/s", type: "t" } },
  };
  send(full.session, rpc).catch(expect.unreachable);
  await send(full.session, publish);
  expect(kinds(full.transport)).toEqual(["connected", limited]);
  full.session.end(true);
});
