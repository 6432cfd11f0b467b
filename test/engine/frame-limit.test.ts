/** Clients that ask for small frames get them, wherever a frame can be divided, and miss nothing. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import type { ClientSession } from "../../src/engine/engine.ts";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  InboundMessageSchema,
  type OutboundMessage,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { frameLimit } from "../../src/protocol/publication-frames.ts";
import { handlerOf, rememberHandlers } from "../support/broker-handlers.ts";
import { whole } from "../support/expand.ts";
import { type Init, ManualTimers, ScriptedTransport, sceneWith } from "./scene.ts";

const ROOM = "room";
const CAPABILITIES = ["recovery", "history", "presence"];

rememberHandlers(MemoryBroker);

function world() {
  const broker = new MemoryBroker({
    clock: { now: () => 1_700_000_000_000 },
    timers: new ManualTimers(),
    random: { epoch: () => "epoch" },
    nextTurn: (callback) => {
      setImmediate(callback);
    },
  });
  return sceneWith(broker);
}

type Engine = ReturnType<typeof world>["engine"];

class Listener {
  readonly transport = new ScriptedTransport();
  readonly session: ClientSession;
  readonly #codec: ReturnType<typeof codecFor>;

  constructor(engine: Engine, id: string, encoding: Encoding) {
    this.#codec = codecFor(encoding);
    this.session = engine.accept(this.transport, id, encoding);
  }

  async send(message: Init): Promise<void> {
    await this.session.receive(
      this.#codec.encodeInbound(create(InboundMessageSchema, { id: "r", ...message })),
    );
  }

  async connect(maxFrameBytes: number, capabilities = CAPABILITIES, rewind = 0): Promise<void> {
    const subscriptions = [{ channel: ROOM, rewind }];
    const value = { clientId: this.session.id, capabilities, maxFrameBytes, subscriptions };
    await this.send({ envelope: { case: "connect", value } });
  }

  get messages(): OutboundMessage[] {
    return this.transport.frames.map((frame) => whole(this.#codec.decodeOutbound(frame)));
  }

  /** How long frames are, and how many messages each delivers. */
  get sizes(): { bytes: number; messages: number }[] {
    return this.transport.frames.map((frame, i) => {
      const { envelope } = this.messages[i] as OutboundMessage;
      const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
      const messages = envelope.case === "publication" ? envelope.value.messages.length : 1;
      return { bytes, messages };
    });
  }

  get offsets(): number[] {
    return this.messages.flatMap(({ envelope }) =>
      envelope.case === "publication"
        ? envelope.value.messages.map(({ offset }) => Number(offset))
        : [],
    );
  }
}

async function publish(engine: Engine, count: number, bytes: number): Promise<void> {
  const data = { case: "textData", value: "\u00e4".repeat(bytes / 2) } as const;
  const event = create(CloudEventSchema, {
    id: "1",
    source: "/s",
    type: "t",
    specVersion: "1.0",
    data,
  });
  await Promise.all(Array.from({ length: count }, () => engine.publish(ROOM, event)));
}

const wanted = Array.from({ length: 100 }, (_, i) => i + 1);

test.each([
  ["json", 8_192],
  ["proto", 8_192],
  ["json", 30_000],
  ["proto", 65_536],
  ["json", 1],
  ["proto", 4_294_967_295],
] as const)("deliveries to a %s client that asked for %d bytes", async (encoding, limit) => {
  const { engine } = world();
  const small = new Listener(engine, "small", encoding);
  const usual = new Listener(engine, "usual", encoding);
  const compact = new Listener(engine, "compact", encoding);
  await small.connect(limit);
  await usual.connect(0);
  await compact.connect(limit, [...CAPABILITIES, "compact"]);
  await publish(engine, 100, 1_000);
  await expect
    .poll(() => [small, usual, compact].map(({ offsets }) => offsets.length))
    .toEqual([100, 100, 100]);
  const late = new Listener(engine, "late", encoding);
  await late.connect(limit, CAPABILITIES, 100);
  for (const { offsets, sizes } of [small, compact, late]) {
    expect(offsets).toEqual(wanted);
    for (const { bytes, messages } of sizes)
      if (messages > 1) expect(bytes).toBeLessThanOrEqual(limit);
  }
  const most = (listener: Listener) => Math.max(...listener.sizes.map(({ messages }) => messages));
  // A wish for less than a message is one for each by itself; one for more than ever comes is none.
  if (limit === 1) expect(most(small)).toBe(1);
  else if (limit > 2 ** 20) expect(most(small)).toBe(most(usual));
  // A wish is met down to the power of two below it.
  else expect(most(small)).toBeGreaterThan(limit / 3_000);
});

test("a single message may be larger, and v1 clients cannot ask", async () => {
  const { engine } = world();
  const small = new Listener(engine, "small", "json");
  const v1 = new Listener(engine, "v1", "json");
  await small.connect(2_048);
  await v1.connect(2_048, []);
  await publish(engine, 2, 10_000);
  await expect.poll(() => [small.offsets.length, v1.offsets.length]).toEqual([2, 2]);
  const publications = ({ messages }: Listener) =>
    messages.filter(({ envelope }) => envelope.case === "publication").length;
  expect([publications(small), publications(v1)]).toEqual([2, 1]);
});

test.each(["json", "proto"] as const)(
  "pages of history in %s keep to it, and hold all",
  async (encoding) => {
    const { engine } = world();
    await publish(engine, 100, 500);
    const small = new Listener(engine, "small", encoding);
    await small.connect(4_096);
    const read: number[] = [];
    let more = true;
    for (let page = 0; more; page++) {
      const since = { epoch: "epoch", offset: BigInt(read.at(-1) ?? 0) };
      const value = { channel: ROOM, since, limit: -1 };
      await small.send({
        metadata: { trace: "t".repeat(100) },
        envelope: { case: "historyRequest", value },
      });
      const answer = small.messages.at(-1)?.envelope;
      if (answer?.case !== "history") throw new Error(`${answer?.case}`);
      read.push(...answer.value.messages.map(({ offset }) => Number(offset)));
      more = answer.value.more;
      expect(page).toBeLessThan(100);
    }
    expect(read).toEqual(wanted);
    for (const { bytes } of small.sizes) expect(bytes).toBeLessThanOrEqual(4_096);
    expect(small.sizes.length).toBeLessThan(40);
  },
);

test.each(["json", "proto"] as const)(
  "lists of members in %s keep to it, and count all",
  async (encoding) => {
    const { engine } = world();
    for (let i = 0; i < 100; i++) await new Listener(engine, `member-${i}`, "json").connect(0);
    const small = new Listener(engine, "small", encoding);
    const usual = new Listener(engine, "usual", encoding);
    await small.connect(2_048);
    await usual.connect(0);
    const value = { channel: ROOM };
    await small.send({ envelope: { case: "presenceRequest", value } });
    const members = Array.from({ length: 100 }, (_, i) => {
      return { sessionId: "", userId: "", clientId: `member-${i}`, time: 1 };
    });
    handlerOf(engine.broker).presenceLost(ROOM, "epoch", {
      members,
      total: 100,
      generation: 1_000,
    });
    const lists = (listener: Listener) =>
      listener.messages.flatMap(({ envelope }) =>
        envelope.case === "presence" ? [envelope.value] : [],
      );
    for (const { members: listed, total } of lists(small)) {
      expect(listed.length).toBeGreaterThan(10);
      expect(listed.length).toBeLessThan(100);
      expect(total).toBeGreaterThanOrEqual(100);
    }
    expect(lists(small)).toHaveLength(2);
    expect(lists(usual).map(({ members: listed }) => listed.length)).toEqual([100]);
    for (const { bytes } of small.sizes) expect(bytes).toBeLessThanOrEqual(2_048);
  },
);

test("the wish outlives a sleep of the host", async () => {
  const { engine } = world();
  const small = new Listener(engine, "small", "proto");
  await small.connect(10_000);
  const { engine: later } = world();
  const record = { ...small.session.record(), marks: small.session.marks() };
  const woken = later.restore(new ScriptedTransport(), record);
  const limits = [small.session, woken].map((session) => session.record().maxFrameBytes);
  expect(limits).toEqual([8_192, 8_192]);
});

test("wishes become powers of two, so that few kinds of frames are made", () => {
  expect(
    [0, 1, 2, 3, 1_024, 65_535, 65_536, 131_072, 131_073, 2 ** 32 - 1].map(frameLimit),
  ).toEqual([0, 1, 2, 2, 1_024, 32_768, 65_536, 131_072, 0, 0]);
});
