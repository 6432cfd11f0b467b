/** Surveys: who is asked, whose answer counts, and when they end. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Cluster } from "../../src/engine/ports/cluster.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import {
  answerSurvey,
  type SurveyQuestion,
  SurveyRuns,
} from "../../src/engine/survey/survey-run.ts";
import { type SurveyLimits, Surveys } from "../../src/engine/survey/surveys.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { errorMessage, MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  SurveyCallSchema,
  SurveyOutcomeSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  InboundMessageSchema,
  SurveyResponseSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { Time } from "../objects/time.ts";
import { connect, type Init, kinds, ScriptedTransport, scene, send } from "./scene.ts";

const question = create(CloudEventSchema, { data: { case: "textData", value: "how many?" } });

function answer(requestId: string, text = "7"): Init {
  const payload = { id: "a", source: "/c", type: "t", data: { case: "textData", value: text } };
  return { envelope: { case: "surveyResponse", value: { requestId, payload } } } as Init;
}

/** Two sessions on channel `poll`, one beside it. */
async function room() {
  const first = scene();
  const { engine } = first;
  const sessions = [first.session];
  const transports = [first.transport];
  for (const id of ["second", "outsider"]) {
    const other = scene();
    sessions.push(engine.accept(other.transport, id, "json"));
    transports.push(other.transport);
  }
  const [one, two, outsider] = sessions as [
    typeof first.session,
    typeof first.session,
    typeof first.session,
  ];
  await connect(one, "poll");
  await connect(two, "poll");
  await connect(outsider, "other");
  return { ...first, one, two, outsider, transports };
}

function requestIdOf(frame: unknown): string {
  const { envelope } = codecFor("json").decodeOutbound(`${frame}`);
  if (envelope.case !== "surveyRequest") throw new Error(`${envelope.case}`);
  const { requestId, payload } = envelope.value;
  expect(payload).toMatchObject({
    id: requestId,
    source: "poll",
    type: "com.messageloop.survey",
    specVersion: "1.0",
    data: { case: "textData", value: "how many?" },
  });
  return requestId;
}

test.each(["", "poll.*", "**", "poll..a", "poll\n", "x".repeat(256)])(
  "a survey of what is no channel, such as %j, is refused and asks nobody",
  async (channel) => {
    const { engine, one, transports } = await room();
    await engine.subscribe(one.id, ["poll.*", "**"]);
    await expect(engine.survey(channel, question)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(kinds(transports[0] as never)).toEqual(["connected"]);
    expect(engine.stats().surveys).toBe(0);
  },
);

test("a survey ends as soon as all have answered, each answer with its kind of data", async () => {
  const { engine, one, two, transports } = await room();
  const outcome = engine.survey("poll", question);
  const id = requestIdOf(transports[0]?.frames.at(-1));
  expect(requestIdOf(transports[1]?.frames.at(-1))).toBe(id);
  expect(kinds(transports[2] as never)).toEqual(["connected"]);
  await send(one, answer(id));
  await send(two, {
    envelope: {
      case: "surveyResponse",
      value: { requestId: id, error: { code: "BUSY", message: "later" } },
    },
  });
  const { answers, silent } = await outcome;
  expect(silent).toEqual([]);
  expect(answers.map(({ sessionId }) => sessionId)).toEqual(["s", "second"]);
  expect(answers[0]?.payload?.data).toEqual({ case: "textData", value: "7" });
  expect(answers[1]?.error).toMatchObject({ code: "BUSY", message: "later" });
  expect(engine.stats().openSurveys).toBe(0);
});

test("only the first answer of those who were asked counts; the others are dropped and counted", async () => {
  const { engine, one, outsider, timers, transports } = await room();
  const outcome = engine.survey("poll", question);
  const id = requestIdOf(transports[0]?.frames.at(-1));
  await send(outsider, answer(id, "not asked"));
  await send(one, answer(id, "first"));
  await send(one, answer(id, "second"));
  await send(one, answer("another", "unknown"));
  timers.fire();
  const { answers, silent } = await outcome;
  expect(answers.map(({ payload }) => payload?.data.value)).toEqual(["first"]);
  expect(silent).toEqual(["second"]);
  await send(one, answer(id, "late"));
  expect(engine.stats().droppedAnswers).toBe(4);
});

test("who leaves is not waited for; without subscribers there is nothing to wait for", async () => {
  const { engine, one, two, transports } = await room();
  const outcome = engine.survey("poll", question);
  const id = requestIdOf(transports[0]?.frames.at(-1));
  await send(one, answer(id));
  two.end(true);
  expect(await outcome).toMatchObject({ answers: [{ sessionId: "s" }], silent: ["second"] });
  expect(await engine.survey("nobody", question)).toEqual({
    answers: [],
    silent: [],
    unreached: [],
  });
});

/** Surveys of a node that has two subscribers of its own, beside nodes that answer as the test says. */
function beside(nodes: Readonly<Record<string, Cluster["call"]>>) {
  const time = new Time();
  const asked: string[] = [];
  const cluster: Cluster = {
    node: "here",
    start: () => {},
    others: async () => Object.keys(nodes),
    call: async (node, call, timeoutMs) => {
      const timeout = call.call.case === "survey" ? `${call.call.value.timeoutMs} ` : "";
      asked.push(`${node} ${call.call.case} ${timeout}${timeoutMs}`);
      return await nodes[node]?.(node, call, timeoutMs);
    },
  };
  const counters = { surveys: 0, surveyAnswers: 0, surveySilent: 0 };
  const runs = new SurveyRuns({
    cluster,
    local: {
      audience: () => 2,
      ask: async ({ most, timeoutMs }) => {
        asked.push(`here survey ${most} ${timeoutMs}`);
        return { answers: [], silent: ["here.1", "here.2"].slice(0, most) };
      },
      end: (id) => asked.push(`here end ${id}`),
    },
    limits: { openSurveys: 2, surveyResultBytes: 1_000 },
    counters,
    timers: time,
    steadyNow: () => time.now(),
  });
  const run = (more: Partial<SurveyQuestion> = {}) =>
    runs.run({ id: "1", channel: "poll", question, timeoutMs: 4_000, maxAudience: 10, ...more });
  return { asked, cluster, counters, run, time };
}

/** A node with so many subscribers, all of them silent. */
function node(audience: number): Cluster["call"] {
  return async (name, { call }) => {
    if (call.case === "audience") return { case: "audience", value: audience };
    if (call.case !== "survey") throw new Error(`${call.case}`);
    const silent = Array.from({ length: call.value.most }, (_, i) => `${name}.${i}`);
    return { case: "survey", value: create(SurveyOutcomeSchema, { silent }) };
  };
}

test.each([
  [400, 360],
  [2_400, 2_160],
  [60_000, 59_750],
  [1e9, 59_750],
])(
  "a survey of %i ms gives another node %i ms, and its answer 250 ms to travel",
  async (timeoutMs, its) => {
    const { asked, run, time } = beside({ there: node(1) });
    const outcome = await time.until(run({ timeoutMs }));
    expect(outcome).toEqual({
      answers: [],
      silent: ["here.1", "here.2", "there.0"],
      unreached: [],
    });
    expect(asked.at(-1)).toBe(`there survey ${its} ${its + 250}`);
  },
);

test("only nodes that have subscribers are asked, and no more of them than were counted", async () => {
  const { asked, counters, run, time } = beside({ empty: node(0), there: node(3) });
  const { silent } = await time.until(run());
  expect(silent).toEqual(["here.1", "here.2", "there.0", "there.1", "there.2"]);
  expect(asked).toEqual([
    "empty audience 2000",
    "there audience 2000",
    "here survey 2 4000",
    "there survey 3750 4000",
  ]);
  expect(counters).toEqual({ surveys: 1, surveyAnswers: 0, surveySilent: 5 });
});

/** What a test says when nobody waits any more. */
function cancellation() {
  let callback: (() => void) | undefined;
  const made = {
    cancelled: false,
    onCancel: (its: () => void) => {
      callback = its;
    },
    cancel: () => {
      made.cancelled = true;
      callback?.();
    },
  };
  return made;
}

test("when nobody waits for it any more all who were asked hear of it, and nobody afterwards", async () => {
  const answered = Promise.withResolvers<void>();
  const there: Cluster["call"] = async (name, call, timeoutMs) => {
    if (call.call.case === "endSurvey") answered.resolve();
    if (call.call.case === "endSurvey") return { case: "surveyEnded", value: true };
    if (call.call.case === "survey") await answered.promise;
    return await node(3)(name, call, timeoutMs);
  };
  const deaf: Cluster["call"] = async (name, call, timeoutMs) =>
    await node(1)(name, call, timeoutMs);
  const { asked, run, time } = beside({ empty: node(0), there, deaf });
  const gone = cancellation();
  const running = run({ cancellation: gone });
  await expect.poll(() => asked.length).toBe(6);
  const before = time.now();
  gone.cancel();
  await running;
  expect(time.now()).toBe(before);
  expect(asked.slice(6)).toEqual(["here end 1", "there endSurvey 2500", "deaf endSurvey 2500"]);
  // The same is said of one that has ended.
  const over = cancellation();
  await time.until(run({ cancellation: over }));
  asked.length = 0;
  over.cancel();
  expect(asked).toEqual([]);
});

test("when nobody waits by the time that it is known who is to be asked, nobody is", async () => {
  const { asked, run, time } = beside({ there: node(3) });
  const gone = cancellation();
  gone.cancel();
  const running = time.until(run({ cancellation: gone }));
  await expect(running).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(asked).toEqual(["there audience 2000"]);
});

test("with more subscribers than a survey may ask nobody is asked on any node", async () => {
  const { asked, counters, run, time } = beside({ there: node(3), far: node(5) });
  await expect(time.until(run({ maxAudience: 9 }))).rejects.toMatchObject({ code: "TOO_LARGE" });
  expect(asked.filter((call) => call.includes("survey"))).toEqual([]);
  expect(counters.surveys).toBe(0);
  expect((await time.until(run({ maxAudience: 10 }))).silent).toHaveLength(10);
});

const never = (): Promise<never> => new Promise(() => {});
const failing = (code: string) => () => Promise.reject(new MessagingError(code, "no"));

test("a node that cannot be asked is named with the reason, and holds nobody up beyond half the time", async () => {
  const told = (code: string): Cluster["call"] => {
    const error = errorMessage(new MessagingError(code, "no"));
    return async () => ({ case: "error", value: error });
  };
  const { asked, run, time } = beside({
    hanging: never,
    away: failing("UNAVAILABLE"),
    full: told("RATE_LIMITED"),
    older: told("BAD_REQUEST"),
    broken: () => Promise.reject(new Error("stack of 10.1.2.3")),
    gone: async () => undefined,
    there: node(1),
  });
  const began = time.now();
  const { silent, unreached } = await time.until(run({ timeoutMs: 10_000 }));
  expect(silent).toEqual(["here.1", "here.2", "there.0"]);
  expect(new Map(unreached.map(({ node: name, reason }) => [name, reason]))).toEqual(
    new Map([
      ["hanging", "timeout"],
      ["away", "unavailable"],
      ["full", "busy"],
      ["older", "failed"],
      ["broken", "failed"],
    ]),
  );
  expect(time.now() - began).toBeLessThan(2_600);
  // What the counting took is not there for the answers.
  expect(asked.at(-2)).toBe("here survey 2 7500");
});

test("a very short survey has 250 ms to find out who is to be asked", async () => {
  const slow: Cluster["call"] = async (name, call, timeoutMs) => {
    await new Promise<void>((resolve) => time.after(100, resolve));
    return await node(1)(name, call, timeoutMs);
  };
  const { asked, run, time } = beside({ slow });
  const { silent, unreached } = await time.until(run({ timeoutMs: 50 }));
  expect([silent, unreached]).toEqual([["here.1", "here.2", "slow.0"], []]);
  expect(asked).toEqual(["slow audience 250", "here survey 2 1", "slow survey 1 251"]);
});

test("a node that hangs while its sessions answer holds the survey to its timeout and no longer", async () => {
  const hangs: Cluster["call"] = async (name, call, timeoutMs) =>
    call.call.case === "audience" ? await node(1)(name, call, timeoutMs) : await never();
  const { run, time } = beside({ hangs });
  const began = time.now();
  const { silent, unreached } = await time.until(run({ timeoutMs: 2_000 }));
  expect(silent).toEqual(["here.1", "here.2"]);
  expect(unreached).toEqual([{ node: "hangs", reason: "timeout" }]);
  expect(time.now() - began).toBeLessThanOrEqual(2_100);
});

test("where it is not known which nodes there are the survey fails, and asks nobody", async () => {
  const { asked, cluster, run, time } = beside({ there: node(1) });
  const others = cluster.others;
  for (const unknown of [failing("UNAVAILABLE"), never]) {
    cluster.others = unknown;
    const failed = time.until(run());
    await expect(failed).rejects.toMatchObject({ code: "UNAVAILABLE" });
  }
  expect(asked).toEqual([]);
  cluster.others = others;
  expect((await time.until(run())).silent).toHaveLength(3);
});

test("a node has so many surveys of its own open, and the next one is RATE_LIMITED", async () => {
  const { run, time } = beside({ there: never });
  const open = [run(), run()];
  const refused = { code: "RATE_LIMITED", metadata: { retry_after_ms: 1_000 } };
  await expect(run()).rejects.toMatchObject(refused);
  await time.until(Promise.all(open));
  await time.until(run());
});

test("what the nodes have gathered has room together, or is said to have had none", async () => {
  const text = "x".repeat(400);
  const answering: Cluster["call"] = async (name, call, timeoutMs) => {
    if (call.call.case !== "survey") return await node(1)(name, call, timeoutMs);
    const payload = create(CloudEventSchema, { data: { case: "textData", value: text } });
    const answers = [{ sessionId: `${name}.1`, userId: name, payload }];
    return { case: "survey", value: create(SurveyOutcomeSchema, { answers }) };
  };
  const { run, time } = beside({ a: answering, b: answering, c: answering });
  const { answers } = await time.until(run());
  const said = answers.map(({ sessionId, userId, payload, error }) => [
    sessionId,
    userId,
    payload?.data.value === text,
    error?.code,
  ]);
  expect(said).toEqual([
    ["a.1", "a", true, undefined],
    ["b.1", "b", true, undefined],
    ["c.1", "c", false, "TOO_LARGE"],
  ]);
});

test("an invalid answer is refused and may be mended", async () => {
  const { engine, one, two, transports } = await room();
  two.end(true);
  const outcome = engine.survey("poll", question);
  const id = requestIdOf(transports[0]?.frames.at(-1));
  await send(one, answer(id, "\ud800"));
  expect(kinds(transports[0] as never).at(-1)).toBe("error BAD_REQUEST");
  await send(one, answer(id, "well"));
  expect((await outcome).answers).toHaveLength(1);
});

test("an answer that names no survey is for the last one this client asked, as in v0.1.1", async () => {
  const { engine, one, two, transports } = await room();
  two.end(true);
  const outcome = engine.survey("poll", question);
  const requestId = requestIdOf(transports[0]?.frames.at(-1));
  await send(one, { envelope: { case: "surveyRequest", value: { requestId } } });
  await send(one, answer(""));
  expect((await outcome).answers).toHaveLength(1);
});

test("[SPEC-V2] an answer whose error no other decoder could read is BAD_REQUEST, and is none", async () => {
  const { engine, session, transport } = scene();
  await connect(session, "room");
  const answering = engine.survey(
    "room",
    create(CloudEventSchema, { id: "q", source: "/s", type: "t" }),
  );
  await expect.poll(() => kinds(transport).at(-1)).toBe("surveyRequest");
  const { envelope } = codecFor("json").decodeOutbound(transport.frames.at(-1) ?? "");
  const requestId = envelope.case === "surveyRequest" ? envelope.value.requestId : "";
  const nested = (depth: number): JsonObject => (depth === 1 ? { a: 1 } : { a: nested(depth - 1) });
  const bad = [nested(31), { list: [{ a: Number.NaN }] }];
  for (const metadata of [...bad, nested(30)]) {
    const value = { requestId, error: { code: "NO", metadata } };
    const frame = codecFor("proto").encodeInbound(
      create(InboundMessageSchema, { envelope: { case: "surveyResponse", value } }),
    );
    const message = codecFor("proto").decodeInbound(frame);
    await session.receiveMessage(message, frame.length);
  }
  expect(kinds(transport).slice(-2)).toEqual(["error BAD_REQUEST", "error BAD_REQUEST"]);
  const { answers } = await answering;
  expect(answers.map(({ error }) => error?.metadata)).toEqual([nested(30)]);
});

/** The surveys of a node with three subscribers, who answer nothing by themselves. */
function ofThree(limits: Partial<SurveyLimits> = {}) {
  const time = new Time();
  const asked: string[] = [];
  const respondent = (id: string) => ({ id, userId: "", clientId: "", ask: () => asked.push(id) });
  const surveys = new Surveys({
    timers: time,
    limits: { ...DEFAULT_SETTINGS, ...limits },
    now: time.now,
    respondents: () => ["one", "two", "three"].map(respondent),
  });
  const call = { id: "1", channel: "poll", question, timeoutMs: 1_000 };
  return { asked, call, surveys, time };
}

test("a node that is told twice of a survey asks once, and both get its outcome", async () => {
  const { asked, call, surveys, time } = ofThree();
  const [first, second] = [surveys.ask({ ...call, most: 3 }), surveys.ask({ ...call, most: 3 })];
  surveys.answer("one", "1", create(SurveyResponseSchema, { requestId: "1" }));
  const outcome = await time.until(first);
  expect(outcome).toMatchObject({ answers: [{ sessionId: "one" }], silent: ["two", "three"] });
  expect(await second).toEqual(outcome);
  expect(asked).toEqual(["one", "two", "three"]);
  expect(surveys.size).toBe(0);
});

test("a survey that is ended is answered with what there is, and one that is not there is none", async () => {
  const { call, surveys, time } = ofThree();
  const asking = surveys.ask({ ...call, most: 3 });
  surveys.answer("one", "1", create(SurveyResponseSchema, { requestId: "1" }));
  const before = time.now();
  surveys.end("2");
  surveys.end("1");
  expect(await asking).toMatchObject({
    answers: [{ sessionId: "one" }],
    silent: ["two", "three"],
  });
  expect([time.now(), surveys.size]).toEqual([before, 0]);
});

test("a survey that is over before it comes asks nobody, and so many are remembered", async () => {
  const { asked, call, surveys, time } = ofThree();
  surveys.end("1");
  expect(await surveys.ask({ ...call, most: 3 })).toEqual({ answers: [], silent: [] });
  expect(asked).toEqual([]);
  surveys.end("1");
  for (let i = 0; i < 1_000; i++) surveys.end(`other ${i}`);
  await time.until(surveys.ask({ ...call, most: 3 }));
  expect(asked).toEqual(["one", "two", "three"]);
});

test("a node asks no more than were counted, those first who came first, and an older node has all asked", async () => {
  const { asked, call, surveys, time } = ofThree();
  expect((await time.until(surveys.ask({ ...call, most: 2 }))).silent).toEqual(["one", "two"]);
  expect(asked).toEqual(["one", "two"]);
  const older = create(SurveyCallSchema, call);
  const told = await time.until(answerSurvey(surveys, older));
  expect(told).toMatchObject({ case: "survey", value: { silent: ["one", "two", "three"] } });
  await expect(answerSurvey(surveys, create(SurveyCallSchema, { id: "2" }))).rejects.toMatchObject({
    code: "BAD_REQUEST",
  });
});

test("however long another node wants to wait, a minute is the most", async () => {
  const { call, surveys, time } = ofThree();
  const began = time.now();
  await time.until(surveys.ask({ ...call, timeoutMs: 4_294_967_295, most: 3 }));
  expect(time.now() - began).toBe(60_000);
});

test("a node with as many open surveys as it may have is not asked by another", async () => {
  const { asked, call, surveys, time } = ofThree({ openSurveys: 2 });
  const open = [1, 2].map((id) => surveys.ask({ ...call, id: `${id}`, most: 1 }));
  expect(() => surveys.audience("poll")).toThrow(expect.objectContaining({ code: "RATE_LIMITED" }));
  const third = surveys.ask({ ...call, id: "3", most: 1 });
  await expect(third).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(asked).toEqual(["one", "one"]);
  await time.until(Promise.all(open));
  expect(surveys.audience("poll")).toBe(3);
});

test("a question is encoded once for each kind of client, and every client gets its own form", async () => {
  const { engine, one, two, transports } = await room();
  const extended = new ScriptedTransport();
  const old = new ScriptedTransport();
  for (const [transport, capabilities] of [
    [extended, ["x"]],
    [old, []],
  ] as const) {
    const session = engine.accept(transport, `late-${capabilities.length}`, "proto");
    const value = { capabilities: [...capabilities], subscriptions: [{ channel: "poll" }] };
    const message = create(InboundMessageSchema, { envelope: { case: "connect", value } });
    await session.receive(codecFor("proto").encodeInbound(message));
  }
  const outcome = engine.survey("poll", question, { timeoutMs: 60_000 });
  const frames = [transports[0], transports[1], extended, old].map((one) => one?.frames.at(-1));
  expect(frames[0]).toBe(frames[1]);
  const kindsOfData = frames.map((frame) => {
    const { envelope } = codecFor(typeof frame === "string" ? "json" : "proto").decodeOutbound(
      frame ?? "",
    );
    return envelope.case === "surveyRequest" ? envelope.value.payload?.data.case : envelope.case;
  });
  expect(kindsOfData).toEqual(["textData", "textData", "textData", "binaryData"]);
  for (const session of [one, two, ...engine.sessions()]) session.end(true);
  expect((await outcome).silent).toHaveLength(4);
});
