/** The session's clocks and limits, with time in the test's hand. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Engine, type EngineOptions } from "../../src/engine/engine.ts";
import type { Broker, Position, Transport } from "../../src/engine/ports.ts";
import type { Session } from "../../src/engine/session.ts";
import { codecFor, type Frame } from "../../src/protocol/codec.ts";
import type { Disconnect } from "../../src/protocol/codes.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";

/** A broker whose channels are all empty and whose publishes are never delivered. */
class QuietBroker implements Broker {
  readonly wanted = new Set<string>();
  start(): void {}
  async subscribe(channel: string): Promise<Position> {
    this.wanted.add(channel);
    return { epoch: "e", offset: 0 };
  }
  unsubscribe(channel: string): void {
    this.wanted.delete(channel);
  }
  async publish(): Promise<{ position: Position; duplicate: boolean }> {
    return { position: { epoch: "e", offset: 1 }, duplicate: false };
  }
  seen(): undefined {
    return undefined;
  }
}

class ScriptedTransport implements Transport {
  readonly frames: Frame[] = [];
  closed: Disconnect | undefined;
  heardAt = 0;
  saves = 0;
  write(frame: Frame): void {
    this.frames.push(frame);
  }
  close(disconnect: Disconnect): void {
    this.closed = disconnect;
  }
  save(): void {
    this.saves += 1;
  }
  heard(): number {
    return this.heardAt;
  }
}

function scene(options: Partial<EngineOptions> = {}) {
  const clock = { time: 1_000_000, now: () => clock.time };
  const broker = new QuietBroker();
  let ids = 0;
  const random = {
    uuid: () => {
      ids += 1;
      return `id-${ids}`;
    },
  };
  const engine = new Engine({ broker, clock, random, logger: { warn: () => {} }, ...options });
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, "s", "json");
  return { clock, broker, engine, transport, session };
}

type Init = Exclude<MessageInitShape<typeof InboundMessageSchema>, { $typeName: string }>;

async function send(session: Session, message: Init): Promise<void> {
  await session.receive(codecFor("json").encodeInbound(create(InboundMessageSchema, message)));
}

async function connect(session: Session, ...channels: string[]): Promise<void> {
  const subscriptions = channels.map((channel) => ({ channel }));
  await send(session, {
    envelope: { case: "connect", value: { capabilities: ["x"], subscriptions } },
  });
}

function subscribe(...channels: string[]): Init {
  const subscriptions = channels.map((channel) => ({ channel }));
  return { envelope: { case: "subscribe", value: { subscriptions } } };
}

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
  const before = transport.saves;
  for (let i = 0; i < 30; i++) {
    clock.time += 1_000;
    await send(session, { envelope: { case: "ping", value: {} } });
  }
  expect(transport.saves - before).toBe(2);
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
  session.end();
  await subscribing;
  expect(engine.hub.size).toBe(0);
  expect(broker.wanted.size).toBe(0);
});
