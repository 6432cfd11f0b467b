/** Clients of v1 send without reading what became of it: their requests wait in order, within bounds. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import type { PublishCommand, PublishResult } from "../../src/engine/ports/broker.ts";
import { PublishGate } from "../../src/engine/publishing/publish-gate.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_WAITING_NODE_BYTES, MAX_WAITING_SESSION_BYTES } from "../../src/protocol/limits.ts";
import { type Init, kinds, ManualTimers, ScriptedTransport, scene, send } from "./scene.ts";

const MIB = 1024 * 1024;
const CONNECT: Init = { envelope: { case: "connect", value: {} } };

function rpc(id: string, text = ""): Init {
  const value = { id, type: "t", data: { case: "textData", value: text } } as const;
  return { id, envelope: { case: "rpcRequest", value } };
}

/** A backend that answers when the test says so. */
function backend() {
  const asked: string[] = [];
  const open: (() => void)[] = [];
  const backends: Backends = {
    rpc: async ({ id, payload }) => {
      asked.push(id);
      await new Promise<void>((resolve) => open.push(resolve));
      return payload;
    },
  };
  return { asked, open, backends };
}

/** Lets what has been settled take effect. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("R5: RPCs of a v1 client beyond those in flight are asked in order as places come free", async () => {
  const { asked, open, backends } = backend();
  const { session, transport } = scene({ backends, maxInFlightRpcs: 2 });
  await send(session, CONNECT);
  const all = ["1", "2", "3", "4", "5"].map((id) => send(session, rpc(id)));
  expect(asked).toEqual(["1", "2"]);
  open[1]?.();
  await turn();
  expect(asked).toEqual(["1", "2", "3"]);
  for (let i = 0; i < 5; i++) {
    open[i]?.();
    await turn();
  }
  await Promise.all(all);
  expect(asked).toEqual(["1", "2", "3", "4", "5"]);
  expect(kinds(transport)).toEqual(["connected", ...Array.from({ length: 5 }, () => "rpcReply")]);
});

test("R5: an RPC that waits is not asked when its client has gone, and takes no place", async () => {
  const { asked, backends } = backend();
  const { session } = scene({ backends, maxInFlightRpcs: 1 });
  await send(session, CONNECT);
  const all = ["1", "2"].map((id) => send(session, rpc(id)));
  session.end(true);
  await Promise.all(all);
  expect(asked).toEqual(["1"]);
});

test("L5: a host that can stop reading a v1 client does so, and that time is no silence", async () => {
  const { asked, open, backends } = backend();
  const { clock, engine } = scene({ backends, maxOpenRequestBytes: 100_000, idleTimeoutMs: 1_000 });
  const transport = new PausingTransport();
  const session = engine.accept(transport, "p", "json");
  await send(session, CONNECT);
  const all = Array.from({ length: 6 }, (_, i) => send(session, rpc(`${i}`, "x".repeat(10_000))));
  expect(transport.calls).toEqual(["pause"]);
  clock.time += 5_000;
  engine.expire();
  expect(transport.closed).toBeUndefined();
  for (const [i, answer] of open.entries()) {
    answer();
    await turn();
    // Some requests are left when it is read again, so that it does not run dry.
    if (i === 2) expect(transport.calls).toEqual(["pause"]);
  }
  await Promise.all(all);
  expect(asked).toHaveLength(6);
  expect(transport.calls).toEqual(["pause", "resume"]);
  engine.expire();
  expect(transport.closed).toBeUndefined();
  clock.time += 1_001;
  engine.expire();
  expect(transport.closed?.code).toBe(3511);
});

test("L5: where the host cannot stop reading, a v1 client with more than may wait is closed with 3510", async () => {
  const { open, backends } = backend();
  const options = { backends, maxInFlightRpcs: 10_000, maxMessageBytes: MIB };
  const { engine } = scene(options);
  const text = "x".repeat(MIB / 2);
  const greedy = await fill(engine, "greedy", text, MAX_WAITING_SESSION_BYTES - MIB);
  const before = engine.stats().waitingBytes;
  expect(greedy.transport.closed).toBeUndefined();
  const calm = await fill(engine, "calm", text, MIB);
  greedy.more(3);
  await turn();
  expect(greedy.transport.closed?.code).toBe(3510);
  expect(calm.transport.closed).toBeUndefined();
  expect(before).toBeGreaterThan(MAX_WAITING_SESSION_BYTES - 2 * MIB);
  // What the closed session had waiting makes room for others.
  expect(engine.stats().waitingBytes).toBeLessThan(2 * MIB);
  for (const answer of open) answer();
  await turn();
  expect(engine.stats().waitingBytes).toBe(0);
});

test("L5: what a v1 client has under way takes little memory, however small its frames are", async () => {
  const { open, asked, backends } = backend();
  const { engine } = scene({ backends });
  const { transport, session } = await fill(engine, "a", "", 0);
  const count = 8_000;
  const before = heapAfterCollection();
  const all = Array.from({ length: count }, (_, i) => send(session, rpc(`${i}`)));
  await turn();
  // A request that is worked on takes 2.9 KB, and a frame that is held a tenth of it.
  expect(heapAfterCollection() - before).toBeLessThan(10 * MIB);
  expect(transport.closed).toBeUndefined();
  expect(engine.stats().openBytes).toBeLessThan(2.1 * MIB);
  while (asked.length < count) {
    for (const answer of open.splice(0)) answer();
    await turn();
  }
  for (const answer of open.splice(0)) answer();
  await Promise.all(all);
  expect(asked).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
  expect(engine.stats()).toMatchObject({ waitingBytes: 0, openBytes: 0 });
});

test("L5: of a v1 client that goes nothing stays, and nothing that was held is asked", async () => {
  const { open, asked, backends } = backend();
  const { engine } = scene({ backends });
  const { session } = await fill(engine, "a", "", 0);
  const all = Array.from({ length: 2_000 }, (_, i) => send(session, rpc(`${i}`)));
  const begun = asked.length;
  session.end(true);
  for (const answer of open) answer();
  await Promise.all(all);
  expect(asked).toHaveLength(begun);
  expect(engine.stats()).toMatchObject({ waitingBytes: 0, openBytes: 0 });
});

test("L5: all v1 clients of a node together may wait with so much; the one beyond it is closed", async () => {
  const { backends } = backend();
  const { engine } = scene({ backends, maxInFlightRpcs: 10_000, maxMessageBytes: MIB });
  const text = "x".repeat(MIB / 2);
  const clients: Awaited<ReturnType<typeof fill>>[] = [];
  for (let i = 0; i < 4; i++) {
    clients.push(await fill(engine, `c${i}`, text, MAX_WAITING_NODE_BYTES / 4 - MIB));
  }
  const closed = () => clients.filter(({ transport }) => transport.closed !== undefined);
  expect(closed()).toEqual([]);
  // Each client alone stays far from what it may have.
  for (let i = 0; closed().length === 0 && i < 20; i++) {
    clients[i % 4]?.more(1);
    await turn();
  }
  expect(closed().map(({ transport }) => transport.closed?.code)).toEqual([3510]);
  expect(engine.stats().waitingBytes).toBeLessThan(MAX_WAITING_NODE_BYTES);
});

test("publishes of v1 clients wait for room by channel, each client's in order, the clients in turn", async () => {
  const timers = new ManualTimers();
  const broker = new NarrowBroker();
  const gate = new PublishGate(broker, timers);
  const [fast, slow] = [{}, {}];
  const results: Promise<PublishResult>[] = [];
  const publish = (client: object, key: string, channel = "a") =>
    results.push(gate.publish(client, channel, command(key), 100));
  for (let i = 0; i < 4; i++) publish(fast, `fast ${i}`);
  publish(slow, "slow 0");
  publish(fast, "elsewhere", "b");
  expect(broker.published).toEqual([]);
  expect(gate.waiting).toBe(2);
  broker.places = { a: 3, b: 0 };
  timers.fire();
  expect(broker.published).toEqual(["fast 0", "slow 0", "fast 1"]);
  // Room alone lets nothing overtake what waits already.
  broker.places = { a: 9, b: 9 };
  publish(fast, "fast 4");
  expect(broker.published).toHaveLength(3);
  timers.fire();
  expect(broker.published.slice(3)).toEqual(["fast 2", "fast 3", "fast 4", "elsewhere"]);
  expect(gate.waiting).toBe(0);
  publish(fast, "at once");
  expect(broker.published.at(-1)).toBe("at once");
  await Promise.all(results);
  timers.fire();
  expect(broker.published).toHaveLength(8);
});

function heapAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

function command(key: string): PublishCommand {
  return { key, body: create(EntryBodySchema) };
}

/** Takes as many publishes of a channel as the test allows. */
class NarrowBroker {
  places: Record<string, number> = {};
  readonly published: string[] = [];

  room(channel: string): number {
    return (this.places[channel] ?? 0) > 0 ? 4 * MIB : 0;
  }

  async publish(channel: string, { key }: PublishCommand): Promise<PublishResult> {
    this.places[channel] = (this.places[channel] ?? 0) - 1;
    this.published.push(key);
    return { position: { epoch: "e", offset: this.published.length }, duplicate: false };
  }
}

class PausingTransport extends ScriptedTransport {
  readonly calls: string[] = [];
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
}

/** A v1 client whose unanswered RPCs take at least so many bytes, and half a MiB more for each further one. */
async function fill(engine: Engine, id: string, text: string, bytes: number) {
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, id, "json");
  await send(session, CONNECT);
  const failed: unknown[] = [];
  const more = (count: number): void => {
    for (let i = 0; i < count; i++) send(session, rpc("r", text)).catch((e) => failed.push(e));
  };
  more(Math.ceil(bytes / text.length));
  await turn();
  expect(failed).toEqual([]);
  return { transport, session, more };
}
