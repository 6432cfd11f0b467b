/** Where spans open and close, what they are parts of, and that nothing else changes by them. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Cancellation } from "../../src/engine/ports/backends.ts";
import type { Operation, Span, SpanTerms, Tracer } from "../../src/engine/ports/tracing.ts";
import { attribute } from "../../src/protocol/cloudevents.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntrySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { eventBytes, eventOf } from "../../src/protocol/plain-protobuf/event.ts";
import { recorder } from "../../src/tracing/otlp/recorder.ts";
import { Sampler } from "../../src/tracing/sampler.ts";
import { SamplingTracer } from "../../src/tracing/tracer.ts";
import {
  connect,
  connectWith,
  QuietBroker,
  type SceneOptions,
  sceneWith,
  send,
  subscribe,
} from "./scene.ts";

const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

interface Seen extends Pick<SpanTerms, "event" | "kind"> {
  readonly operation: Operation;
  readonly parent: string | undefined;
  attributes: Record<string, unknown>;
  failure: string | undefined;
  ends: number;
}

/** A tracer that keeps what it is asked for. */
class Recording implements Tracer {
  readonly seen: Seen[] = [];
  start(operation: Operation, { kind, parent, event, attributes }: SpanTerms): Span {
    const traceparent = `span ${this.seen.length}`;
    const seen: Seen = {
      operation,
      kind,
      parent: parent?.traceparent,
      event,
      attributes: { ...attributes },
      failure: undefined,
      ends: 0,
    };
    this.seen.push(seen);
    return {
      traceparent,
      tracestate: undefined,
      set: (more) => Object.assign(seen.attributes, more),
      fail: (why) => {
        seen.failure ??= why;
      },
      end: () => {
        seen.ends += 1;
      },
    };
  }
}

function traced(options: SceneOptions = {}) {
  const tracer = new Recording();
  return { tracer, ...sceneWith(new QuietBroker(), { ...options, tracer }) };
}

const marked = (attributes: Record<string, string> = { traceparent: TRACEPARENT }): CloudEvent =>
  create(CloudEventSchema, {
    id: "e",
    source: "/s",
    specVersion: "1.0",
    type: "t",
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [
        name,
        attribute({ case: "ceString", value }),
      ]),
    ),
    data: { case: "textData", value: "hello" },
  });

const frame = (envelope: object, more: object = {}) =>
  JSON.stringify({ id: "1", ...more, ...envelope });
const EVENT = {
  id: "e",
  source: "/s",
  spec_version: "1.0",
  type: "t",
  attributes: { traceparent: { ce_string: TRACEPARENT }, tracestate: { ce_string: "a=1" } },
  text_data: "hello",
};

test("a client's publish has a span until it is acknowledged, and the event is as it was", async () => {
  const published: CloudEvent[] = [];
  class Keeping extends QuietBroker {
    override publish(...args: Parameters<QuietBroker["publish"]>) {
      published.push(eventOf(args[1].body.event));
      return super.publish(...args);
    }
  }
  const tracer = new Recording();
  const { session } = sceneWith(new Keeping(), { tracer });
  await connect(session);
  await session.receive(frame({ publish: EVENT }, { channel: "news" }));
  const [connecting, publish] = tracer.seen;
  expect(connecting).toMatchObject({
    operation: "connect",
    kind: "server",
    ends: 1,
    failure: undefined,
  });
  expect(publish).toMatchObject({
    operation: "publish",
    kind: "server",
    event: { traceparent: TRACEPARENT, tracestate: "a=1" },
    attributes: {
      "messaging.system": "messageloop",
      "messaging.operation.name": "publish",
      "messaging.operation.type": "send",
      "messaging.destination.name": "news",
      "messaging.message.id": "e",
      "session.id": session.id,
    },
    failure: undefined,
    ends: 1,
  });
  expect(Object.keys(published[0]?.attributes ?? {}).sort()).toEqual(["traceparent", "tracestate"]);
  expect(JSON.stringify(tracer.seen)).not.toContain("hello");
});

test("a refused publish has the code of its error, and a traceparent that is no text is none", async () => {
  const { tracer, session } = traced();
  await connect(session);
  const event = { ...EVENT, attributes: { traceparent: { ce_integer: 7 } } };
  await session.receive(frame({ publish: event }, { channel: "not a channel\u0000" }));
  expect(tracer.seen[1]).toMatchObject({
    operation: "publish",
    event: { traceparent: undefined },
    failure: "BAD_REQUEST",
    ends: 1,
  });
});

test("an RPC's call of the backend is a part of the RPC, and the backend sees its span", async () => {
  const spans: (string | undefined)[] = [];
  const { tracer, session } = traced({
    backends: {
      rpc: async (_, { span }) => {
        spans.push(span?.traceparent);
        throw new MessagingError("SHOP_CLOSED", "come back later");
      },
    },
  });
  await connect(session);
  await session.receive(frame({ rpc_request: EVENT }, { channel: "shop", method: "buy" }));
  expect(tracer.seen.slice(1)).toMatchObject([
    { operation: "rpc", kind: "server", failure: "SHOP_CLOSED", ends: 1 },
    { operation: "rpc", kind: "client", parent: "span 1", failure: "SHOP_CLOSED", ends: 1 },
  ]);
  expect(spans).toEqual(["span 2"]);
});

test("authentication is a part of connect, and neither has the token", async () => {
  const { tracer, session } = traced({
    backends: {
      authenticate: async () => {
        throw new MessagingError("AUTH_ERROR", "no");
      },
    },
  });
  await connectWith(session, { token: "secret-token" });
  expect(tracer.seen).toMatchObject([
    { operation: "connect", failure: "AUTH_ERROR", ends: 1 },
    { operation: "authenticate", kind: "client", parent: "span 0", failure: "AUTH_ERROR", ends: 1 },
  ]);
  expect(JSON.stringify(tracer.seen)).not.toContain("secret-token");
});

test("only what is in a trace has a span of its delivery, one for each event", async () => {
  const { tracer, broker, session } = traced();
  await connect(session);
  await send(session, subscribe("news"));
  tracer.seen.length = 0;
  const entry = (offset: bigint, event: CloudEvent) =>
    create(EntrySchema, { offset, body: { event: eventBytes(event) } });
  broker.handler.publications("news", "e", [
    entry(1n, marked()),
    entry(2n, marked({})),
    entry(3n, marked({ other: "x", tracestate: "b=2", traceparent: "not valid" })),
  ]);
  broker.handler.publications("nobody", "e", [entry(1n, marked())]);
  expect(tracer.seen).toMatchObject([
    {
      operation: "deliver",
      event: { traceparent: TRACEPARENT },
      attributes: { "messaging.destination.name": "news", "messageloop.delivery.sessions": 1 },
      ends: 1,
    },
    { operation: "deliver", event: { traceparent: "not valid", tracestate: "b=2" }, ends: 1 },
  ]);
});

test("what is not in the sample has no part that is, and a context that is not valid is none", async () => {
  const spans: unknown[] = [];
  const ended: string[] = [];
  const platform = { clock: { now: () => 0 }, random: { uuid: () => crypto.randomUUID() } };
  const begin = recorder({ ...platform, ended: ({ operation }) => ended.push(operation) });
  const sampler = new Sampler({ ratio: 1, spansPerSecond: 100, steadyNow: () => 0 });
  const all = new SamplingTracer(sampler, begin);
  const tracer: Tracer = {
    // A connect begins a trace of its own, which chance may leave out.
    start: (operation, terms) =>
      operation === "connect" ? undefined : all.start(operation, terms),
  };
  const backends = {
    authenticate: async (_: unknown, { span }: Cancellation) => {
      spans.push(span);
      return { userId: "ada" };
    },
    rpc: async (_: unknown, { span }: Cancellation) => {
      spans.push(span);
      return undefined;
    },
  };
  const { broker, session } = sceneWith(new QuietBroker(), { backends, tracer });
  await connectWith(session, { token: "t" });
  const out = { traceparent: { ce_string: TRACEPARENT.replace(/01$/, "00") } };
  await session.receive(
    frame({ rpc_request: { ...EVENT, attributes: out } }, { channel: "shop", method: "buy" }),
  );
  await send(session, subscribe("news"));
  const event = eventBytes(marked({ traceparent: "not valid" }));
  broker.handler.publications("news", "e", [create(EntrySchema, { offset: 1n, body: { event } })]);
  expect([spans, ended]).toEqual([[undefined, undefined], []]);
  await session.receive(frame({ rpc_request: EVENT }, { channel: "shop", method: "buy" }));
  expect(ended).toEqual(["rpc", "rpc"]);
});

test("the server's own publishes and surveys have spans", async () => {
  const { tracer, engine } = traced();
  await engine.publish("news", marked());
  await engine.survey("news", marked(), { timeoutMs: 1 });
  await expect(engine.transmit("news", marked())).rejects.toThrow("keeps every message");
  expect(tracer.seen).toMatchObject([
    { operation: "publish", kind: "server", event: { traceparent: TRACEPARENT }, ends: 1 },
    { operation: "survey", kind: "server", event: { traceparent: TRACEPARENT }, ends: 1 },
  ]);
});
