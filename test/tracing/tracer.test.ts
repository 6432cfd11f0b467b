/** Which operations are in the sample, what their spans continue, and how they reach a collector. */
import { expect, test } from "vitest";
import type { SpanTerms } from "../../src/engine/ports/tracing.ts";
import { OtlpExporter } from "../../src/tracing/otlp/exporter.ts";
import { type EndedSpan, recorder } from "../../src/tracing/otlp/recorder.ts";
import { Sampler } from "../../src/tracing/sampler.ts";
import type { OtlpProtocol } from "../../src/tracing/terms.ts";
import { SamplingTracer } from "../../src/tracing/tracer.ts";
import { spansIn } from "../support/otlp.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const RESOURCE = { scope: { name: "tests" }, attributes: { "service.name": "shop" } };

function tracing({ ratio = 1, spansPerSecond = 1_000 } = {}) {
  let now = Date.now();
  const ended: EndedSpan[] = [];
  const sampler = new Sampler({ ratio, spansPerSecond, steadyNow: () => now });
  const host = {
    clock: { now: () => now },
    random: { uuid: () => crypto.randomUUID() },
    ended: (span: EndedSpan) => ended.push(span),
  };
  const tracer = new SamplingTracer(sampler, recorder(host));
  const start = (terms: Partial<SpanTerms> = {}) =>
    tracer.start("publish", { kind: "server", ...terms });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { tracer, start, ended, pass };
}

const marked = (traceId: string, flags: string) => ({
  event: { traceparent: `00-${traceId}-${SPAN}-${flags}` },
});

test("a span continues the event's trace, and its parts continue the span", () => {
  const { start, ended } = tracing();
  const event = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a=1 , b=2" };
  const outer = start({ event });
  const inner = start({ parent: outer, event: { traceparent: `00-${"1".repeat(32)}-${SPAN}-01` } });
  inner?.end();
  outer?.end();
  expect(ended.map(({ traceId }) => traceId)).toEqual([TRACE, TRACE]);
  expect(ended.map(({ parent }) => parent?.remote)).toEqual([false, true]);
  expect(ended[1]?.parent?.spanId).toBe(SPAN);
  expect(ended[0]?.parent?.spanId).toBe(ended[1]?.spanId);
  expect(inner?.traceparent).toBe(`00-${TRACE}-${ended[0]?.spanId}-01`);
  expect(inner?.tracestate).toBe("a=1,b=2");
});

test("what is not valid of an event begins a trace of its own", () => {
  const { start, ended } = tracing();
  start({ event: { traceparent: `00-${TRACE}-zz-01`, tracestate: "a=1" } })?.end();
  expect(ended).toMatchObject([{ parent: undefined }]);
  expect(ended[0]?.traceId).not.toBe(TRACE);
});

test("a client's flag keeps its trace out, and brings none in", () => {
  expect(tracing().start(marked(TRACE, "00"))).toBeUndefined();
  const none = tracing({ ratio: 0 });
  for (let i = 0; i < 50; i++) {
    const traceId = crypto.randomUUID().replaceAll("-", "");
    expect(none.start(marked(traceId, "01"))).toBeUndefined();
  }
  // The lowest there is.
  expect(none.start(marked(`${"1".repeat(16)}${"0".repeat(16)}`, "01"))).toBeUndefined();
});

test("a part of the traces is the same part everywhere", () => {
  const [here, there] = [tracing({ ratio: 0.5 }), tracing({ ratio: 0.5 })];
  const ids = Array.from({ length: 400 }, () => crypto.randomUUID().replaceAll("-", ""));
  const taken = ids.filter((id) => here.start(marked(id, "01")) !== undefined);
  expect(ids.filter((id) => there.start(marked(id, "01")) !== undefined)).toEqual(taken);
  expect(taken.length).toBeGreaterThan(120);
  expect(taken.length).toBeLessThan(280);
});

test("only so many spans begin in a second, whatever clients choose", () => {
  const { start, pass } = tracing({ spansPerSecond: 5 });
  const all = () => Array.from({ length: 20 }, () => start(marked(TRACE, "01")));
  const count = () => all().filter((span) => span !== undefined).length;
  expect(count()).toBe(5);
  pass(1_000);
  expect(count()).toBe(5);
  pass(60_000);
  const outer = start();
  const parts = Array.from({ length: 20 }, () => start({ parent: outer }));
  expect(parts.filter((part) => part !== undefined)).toHaveLength(4);
});

test.each(["http/json", "http/protobuf"] as const)(
  "%s: spans are what OTLP has",
  async (protocol) => {
    const { start, ended, pass } = tracing();
    const outer = start({ event: { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a=1" } });
    outer?.set({ text: "\u00fc".repeat(300), lone: "\ud800", whole: 7, part: 0.5, yes: true });
    const inner = start({ parent: outer });
    inner?.fail("ACL_ERROR");
    pass(5);
    inner?.end();
    outer?.end();
    const { bodies, done } = exported(protocol, ended);
    await done();
    const [body] = bodies;
    const spans = spansIn(body?.headers["content-type"] ?? "", body?.bytes ?? new Uint8Array());
    expect(body?.headers["authorization"]).toBe("Bearer x");
    expect(spans).toMatchObject([
      {
        service: "shop",
        name: "publish",
        kind: 2,
        traceId: TRACE,
        failed: true,
        tracestate: "a=1",
      },
      {
        service: "shop",
        name: "publish",
        kind: 2,
        traceId: TRACE,
        failed: false,
        parentSpanId: SPAN,
      },
    ]);
    expect(spans[0]?.parentSpanId).toBe(spans[1]?.spanId);
    expect(spans[0]?.attributes).toEqual({ "error.type": "ACL_ERROR" });
    expect(spans[1]?.attributes).toEqual({
      text: "\u00fc".repeat(256),
      lone: "\ufffd",
      whole: 7,
      part: 0.5,
      yes: true,
    });
  },
);

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

/** Hands spans to an exporter whose time passes when the test says so. */
function exported(
  protocol: OtlpProtocol,
  spans: readonly EndedSpan[],
  answer: () => Promise<number> = async () => 200,
) {
  const bodies: Body[] = [];
  const warnings: [string, unknown][] = [];
  let passed = (): void => {};
  const exporter = new OtlpExporter(
    { protocol, headers: { authorization: "Bearer x" } },
    RESOURCE,
    {
      timers: {
        after: (_, callback) => {
          passed = callback;
          return () => {};
        },
      },
      logger: { warn: (message, fields) => warnings.push([message, fields]) },
      post: async (headers, bytes) => {
        bodies.push({ headers, bytes });
        return await answer();
      },
    },
  );
  const taken = spans.map((span) => exporter.take(span));
  const done = async (): Promise<void> => {
    passed();
    await Promise.all(taken);
  };
  return { exporter, bodies, warnings, done };
}

test("spans leave in batches, and those that have no room are counted", async () => {
  const { start, ended } = tracing({ spansPerSecond: 10_000 });
  for (let i = 0; i < 1_100; i++) start()?.end();
  const { bodies, warnings, done } = exported("http/json", ended);
  expect(bodies).toEqual([]);
  await done();
  const sizes = bodies.map(({ bytes }) => spansIn("application/json", bytes).length);
  expect(sizes).toEqual([256, 256, 256, 256]);
  expect(warnings).toEqual([["spans were dropped", { spans: 76 }]]);
});

test("a collector that fails, or refuses, is a line in the log and nothing else", async () => {
  const { start, ended } = tracing();
  start()?.end();
  const away = exported("http/json", ended, () => Promise.reject(new Error("no route")));
  await away.done();
  expect(away.warnings).toEqual([
    ["spans cannot be exported", { spans: 1, error: "Error: no route" }],
  ]);
  const refusing = exported("http/protobuf", ended, async () => 503);
  await refusing.done();
  expect(refusing.warnings).toEqual([
    ["spans cannot be exported", { spans: 1, error: "Error: status 503" }],
  ]);
  // It goes on with the next.
  const next = away.exporter.take(ended[0] as EndedSpan);
  await away.done();
  await next;
  expect(away.bodies).toHaveLength(2);
});
