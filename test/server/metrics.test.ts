/** The metrics: their names and labels, that they count what happens, and that the page tells them. */
import { readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DURATION_BUCKETS, DurationHistogram } from "../../src/engine/counters.ts";
import type { EngineStats } from "../../src/engine/stats.ts";
import { renderMetrics } from "../../src/http/metrics/metrics.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntrySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { connect, type Init, ScriptedTransport, scene, send } from "../engine/scene.ts";
import { FACTS } from "./facts.ts";
import { parseMetrics } from "./prometheus.ts";

const golden = read("../fixtures/metrics.txt").trim().split("\n");
const page = read("../../docs/operations.md");

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8");
}

function families(stats: EngineStats, facts = FACTS) {
  return parseMetrics(renderMetrics(stats, facts));
}

/** Value of a sample, by its full name and some of its labels. */
function value(stats: EngineStats, name: string, labels: Record<string, string> = {}): number {
  const samples = [...families(stats).values()]
    .flatMap((family) => family.samples)
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([key, text]) => sample.labels[key] === text));
  expect(samples, name).toHaveLength(1);
  return samples[0]?.value ?? Number.NaN;
}

const event = { id: "e", source: "/c", type: "t", specVersion: "1.0" };
const data = { case: "textData", value: "hi" } as const;

function publish(channel: string): Init {
  return { channel, envelope: { case: "publish", value: { ...event, data } } };
}

function rpc(): Init {
  return { channel: "c", method: "m", envelope: { case: "rpcRequest", value: { ...event, data } } };
}

test("the golden list has exactly what is rendered, before anything has happened", () => {
  const rendered = [...families(scene().engine.stats()).values()].map(({ name, type, samples }) => {
    const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
    labels.delete("le");
    return [name, type, [...labels].toSorted().join(",")].join(" ").trim();
  });
  expect(rendered.toSorted()).toEqual(golden);
});

test.each(golden)("%s is well named and stands in the page", (line) => {
  const [name = "", type = "", labels = ""] = line.split(" ");
  expect(name).toMatch(/^messageloop_[a-z_]+$/);
  expect(name.endsWith("_total")).toBe(type === "counter");
  const rows = page
    .split("\n")
    .filter((row) => row.startsWith("|"))
    .map((row) => row.split("|").map((cell) => cell.trim().replaceAll("`", "")));
  const found = rows.filter((row) => row[1] === name);
  expect(found.map((row) => [row[2], row[3]])).toEqual([[type, labels.replaceAll(",", ", ")]]);
});

test("the page names no metric that does not exist", () => {
  const names = golden.flatMap((line) => {
    const [name = "", type] = line.split(" ");
    const series = ["_bucket", "_sum", "_count"].map((suffix) => `${name}${suffix}`);
    return type === "histogram" ? [name, ...series] : [name];
  });
  for (const name of page.match(/\bmessageloop_\w+/g) ?? []) expect(names).toContain(name);
});

test("what the process tells of itself is told as it is", () => {
  const stats = scene().engine.stats();
  const told = {
    messageloop_connections: 3,
    messageloop_process_resident_memory_bytes: 3_000,
    messageloop_process_heap_bytes: 2_000,
    messageloop_process_external_memory_bytes: 1_000,
    messageloop_log_lines_lost_total: 7,
    messageloop_redis_ready: 0,
    messageloop_redis_lost_seconds: 8.5,
    messageloop_redis_losses_total: 9,
    messageloop_redis_stray_messages_total: 10,
  };
  for (const [name, number] of Object.entries(told)) expect(value(stats, name), name).toBe(number);
  const shop = { backend: "shop", calls: "rpc" };
  expect(value(stats, "messageloop_backend_retries_total", shop)).toBe(21);
  expect(value(stats, "messageloop_backend_calls_waiting", shop)).toBe(22);
  expect(value(stats, "messageloop_backend_circuit_open", shop)).toBe(1);
  const outcomes = { answered: 11, timeout: 12, circuit_open: 18, cancelled: 20 };
  for (const [outcome, number] of Object.entries(outcomes)) {
    expect(value(stats, "messageloop_backend_calls_total", { ...shop, outcome })).toBe(number);
  }
  const listeners = { websocket: 4, grpc: 2, http: 1 };
  for (const [listener, number] of Object.entries(listeners)) {
    expect(value(stats, "messageloop_tcp_connections", { listener })).toBe(number);
  }
  for (const [kind, number] of Object.entries(FACTS.uncaught)) {
    expect(value(stats, "messageloop_uncaught_errors_total", { kind })).toBe(number);
  }
});

test("a server without Redis says nothing of Redis", () => {
  const names = [...families(scene().engine.stats(), { ...FACTS, redis: undefined }).keys()];
  expect(names.filter((name) => name.includes("redis"))).toEqual([]);
});

test("a server without backends over a network says nothing of them", () => {
  const names = [...families(scene().engine.stats(), { ...FACTS, backends: [] }).keys()];
  expect(names.filter((name) => name.includes("backend"))).toEqual([
    "messageloop_backend_calls_open",
  ]);
});

test("labels are escaped", () => {
  const odd = 'a"b\\c\nd\\n';
  const { samples } = families(scene().engine.stats(), { ...FACTS, version: odd }).get(
    "messageloop_info",
  ) as { samples: readonly { labels: Readonly<Record<string, string>> }[] };
  expect(samples.map((sample) => sample.labels)).toEqual([{ version: odd, host: "server" }]);
});

test("traffic is counted once, in messages and in bytes", async () => {
  const { broker, engine, session, transport } = scene();
  await connect(session, "c");
  const other = scene();
  const second = engine.accept(other.transport, "s2", "proto");
  await second.receive(new Uint8Array([0xff]));
  expect(engine.stats()).toMatchObject({ sessions: 2, opened: 2 });
  await send(session, publish("c"));
  await send(session, publish("a..b"));
  const entries = [1n, 2n].map((offset) =>
    create(EntrySchema, {
      offset,
      body: { event: toBinary(CloudEventSchema, create(CloudEventSchema, { ...event, data })) },
    }),
  );
  broker.handler.publications("c", "e", entries);
  const stats = engine.stats();
  expect(value(stats, "messageloop_publications_total")).toBe(1);
  expect(value(stats, "messageloop_deliveries_total")).toBe(2);
  expect(value(stats, "messageloop_sessions_opened_total")).toBe(2);
  expect(value(stats, "messageloop_subscriptions")).toBe(1);
  expect(value(stats, "messageloop_channels")).toBe(1);
  const kind = { encoding: "json", client: "extended" };
  expect(value(stats, "messageloop_messages_encoded_total", kind)).toBe(2);
  const sent = [...transport.frames, ...other.transport.frames];
  const bytes = sent.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
  expect(value(stats, "messageloop_sent_bytes_total")).toBe(bytes);
});

test("received bytes are counted for whole frames and for decoded messages, refused ones too", async () => {
  const { engine, session } = scene({ maxMessageBytes: 2_000 });
  await session.receive("{}ä");
  expect(engine.stats().bytesIn).toBe(4);
  await session.receiveMessage({ envelope: { case: undefined } } as never, 100);
  expect(engine.stats().bytesIn).toBe(104);
  await engine.accept(scene().transport, "t", "json").receive("x".repeat(2_001));
  expect(value(engine.stats(), "messageloop_received_bytes_total")).toBe(2_105);
});

test("a farewell counts as sent", async () => {
  const { engine, session, transport } = scene();
  const value = { capabilities: ["control"] };
  await send(session, { envelope: { case: "connect", value } });
  session.close(DISCONNECTS.goingAway, 10);
  expect(transport.frames).toHaveLength(2);
  const bytes = transport.frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
  expect(engine.stats().bytesOut).toBe(bytes);
});

test("what the server publishes by itself counts as a publication", async () => {
  const { engine } = scene();
  await engine.publish("c", create(CloudEventSchema, { ...event, data }));
  expect(value(engine.stats(), "messageloop_publications_total")).toBe(1);
});

test("every disconnect code of the table has its series, and the application's own share one", async () => {
  const { engine } = scene();
  for (const [id, code] of [
    ["a", 3503],
    ["b", 4000],
    ["c", 4999],
  ] as const) {
    engine.accept(scene().transport, id, "json");
    await engine.disconnect(id, code);
  }
  const stats = engine.stats();
  const codes = Object.values(DISCONNECTS).map(({ code }) => `${code}`);
  const series = families(stats).get("messageloop_disconnects_total")?.samples ?? [];
  expect(series.map(({ labels }) => labels["code"])).toEqual([...codes, "other"]);
  expect(value(stats, "messageloop_disconnects_total", { code: "3503" })).toBe(1);
  expect(value(stats, "messageloop_disconnects_total", { code: "3512" })).toBe(0);
  expect(value(stats, "messageloop_disconnects_total", { code: "other" })).toBe(2);
});

/** An RPC that has been with its backend for 200 ms. */
async function asked(answer: () => Promise<undefined>) {
  const made = scene({ backends: { rpc: answer } });
  await connect(made.session);
  const done = send(made.session, rpc());
  made.clock.time += 200;
  return { ...made, done };
}

function durations(stats: EngineStats, outcome: string): [number, number] {
  const name = "messageloop_rpc_duration_seconds";
  return [value(stats, `${name}_count`, { outcome }), value(stats, `${name}_sum`, { outcome })];
}

test("an RPC is timed by its outcome: ok", async () => {
  const { engine, done } = await asked(async () => undefined);
  expect(value(engine.stats(), "messageloop_backend_calls_open")).toBe(1);
  await done;
  const stats = engine.stats();
  expect(durations(stats, "ok")).toEqual([1, 0.2]);
  expect(stats.rpcs.error.count + stats.rpcs.timeout.count + stats.rpcs.cancelled.count).toBe(0);
});

test("an RPC is timed by its outcome: error, a refusal as well as a failure", async () => {
  const failed = await asked(() => Promise.reject(new Error("no")));
  await failed.done;
  expect(durations(failed.engine.stats(), "error")).toEqual([1, 0.2]);
  const refused = await asked(() => Promise.reject(new MessagingError("ACL_ERROR", "no")));
  await refused.done;
  expect(durations(refused.engine.stats(), "error")).toEqual([1, 0.2]);
});

test("an RPC is timed by its outcome: timeout", async () => {
  const { engine, timers, done } = await asked(() => new Promise(() => {}));
  timers.fire();
  await done;
  expect(durations(engine.stats(), "timeout")).toEqual([1, 0.2]);
});

test("an RPC whose client has left is no error of the backend", async () => {
  const { engine, session, done } = await asked(() => new Promise(() => {}));
  session.end(true);
  await done;
  expect(durations(engine.stats(), "cancelled")).toEqual([1, 0.2]);
  expect(durations(engine.stats(), "error")).toEqual([0, 0]);
});

test("an RPC that never reaches a backend is not timed", async () => {
  const { engine, session } = scene();
  await connect(session);
  await send(session, rpc());
  expect(durations(engine.stats(), "ok")).toEqual([0, 0]);
});

test("the buckets of a histogram are cumulative and end with its count", () => {
  const histogram = new DurationHistogram();
  for (const ms of [-5, 0, 5, 5.1, 1_000, 59_999, 60_001, 10_000_000]) histogram.observe(ms);
  const stats = scene().engine.stats();
  const samples = families({ ...stats, rpcs: { ...stats.rpcs, ok: histogram.stats() } })
    .get("messageloop_rpc_duration_seconds")
    ?.samples.filter(({ name, labels }) => name.endsWith("_bucket") && labels["outcome"] === "ok");
  const buckets = Object.fromEntries(
    samples?.map(({ labels, value }) => [labels["le"], value]) ?? [],
  );
  expect(Object.keys(buckets)).toHaveLength(DURATION_BUCKETS.length + 1);
  expect(buckets).toMatchObject({ "0.005": 3, "0.01": 4, "0.5": 4, "1": 5, "60": 6, "+Inf": 8 });
  const values = samples?.map((sample) => sample.value) ?? [];
  expect(values).toEqual(values.toSorted((left, right) => left - right));
  expect(histogram.stats().sum).toBeCloseTo(10_121.0101, 6);
});

test("surveys count their answers and who was silent", async () => {
  const { engine, session, transport, timers } = scene();
  await connect(session, "poll");
  await connect(engine.accept(scene().transport, "mute", "json"), "poll");
  const outcome = engine.survey("poll", create(CloudEventSchema, { data }));
  expect(value(engine.stats(), "messageloop_surveys_open")).toBe(1);
  const { envelope } = codecFor("json").decodeOutbound(transport.frames.at(-1) ?? "");
  if (envelope.case !== "surveyRequest") throw new Error(`${envelope.case}`);
  for (const requestId of [envelope.value.requestId, "unknown"]) {
    await send(session, { envelope: { case: "surveyResponse", value: { requestId } } });
  }
  timers.fire();
  await outcome;
  const stats = engine.stats();
  expect(value(stats, "messageloop_surveys_open")).toBe(0);
  expect(value(stats, "messageloop_surveys_total")).toBe(1);
  expect(value(stats, "messageloop_survey_answers_total")).toBe(1);
  expect(value(stats, "messageloop_survey_silent_total")).toBe(1);
  expect(value(stats, "messageloop_survey_answers_dropped_total")).toBe(1);
});

test("a snapshot does not change with later traffic", async () => {
  const { engine, session } = scene();
  const before = engine.stats();
  const copy = structuredClone(before);
  await connect(session, "c");
  await send(session, publish("c"));
  expect(before).toEqual(copy);
  expect(engine.stats()).not.toEqual(copy);
});

test("the metrics of 10,000 channels and 5,000 sessions cost at most 20 ms of a processor", async () => {
  const { engine } = scene();
  for (let i = 0; i < 5_000; i++) {
    const session = engine.accept(new ScriptedTransport(), `s-${i}`, "json");
    await connect(session, `c.${2 * i}`, `c.${2 * i + 1}`);
  }
  const stats = engine.stats();
  expect([stats.sessions, stats.channels]).toEqual([5_001, 10_000]);
  const costs = Array.from({ length: 9 }, () => {
    const before = process.cpuUsage();
    const text = renderMetrics(engine.stats(), FACTS);
    const { user, system } = process.cpuUsage(before);
    expect(text).toContain("messageloop_channels 10000");
    return (user + system) / 1_000;
  });
  // What other threads of the process do counts as well, so that only the least is the page's own.
  expect(Math.min(...costs)).toBeLessThan(20);
});
