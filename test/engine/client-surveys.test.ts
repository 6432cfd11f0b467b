/** Surveys that clients start: who may, whom they ask, what bounds them, and how the result is told. */
import { expect, test, vi } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import type { ClientSession } from "../../src/engine/engine.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import type {
  OutboundMessage,
  SurveyResult,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { sized } from "../../src/protocol/publication-frames.ts";
import { rule, rulesOf } from "../access/subjects.ts";
import {
  connectWith,
  type Init,
  kinds,
  type SceneOptions,
  ScriptedTransport,
  scene,
  send,
  subscribe,
} from "./scene.ts";

const RULES = new RuleBook([
  { pattern: "poll.**", rules: { ...DEFAULT_CHANNEL_RULES, survey: true } },
]);

interface Place {
  readonly session: ClientSession;
  readonly transport: ScriptedTransport;
}

/** A node whose channels below `poll` may be surveyed. */
function room(options: SceneOptions = {}) {
  const made = scene({
    rules: RULES,
    backends: { authenticate: async ({ token }) => ({ userId: token }) },
    ...options,
  });
  const { engine, session, transport } = made;
  let count = 0;
  const join = async (channel: string, capabilities = ["survey"]): Promise<Place> => {
    count += 1;
    const place = count === 1 ? { session, transport } : accepted(`s${count}`);
    const value = { clientId: `c${count}`, token: `u${count}`, capabilities };
    await connectWith(place.session, value);
    if (channel !== "") await send(place.session, subscribe(channel));
    place.transport.frames.length = 0;
    return place;
  };
  const accepted = (id: string): Place => {
    const fresh = new ScriptedTransport();
    return { session: engine.accept(fresh, id, "json"), transport: fresh };
  };
  return { ...made, join };
}

interface Asked {
  readonly timeoutMs?: number;
  readonly othersOnly?: boolean;
  readonly metadata?: Record<string, string>;
}

function ask(channel: string, { metadata = {}, ...more }: Asked = {}): Init {
  const payload = {
    id: "q",
    source: "/asker",
    type: "question",
    data: { case: "textData", value: "how many?" },
  } as const;
  const value = { requestId: "mine", payload, ...more };
  return { id: "ask", channel, metadata, envelope: { case: "surveyRequest", value } };
}

function heard({ transport }: Place): OutboundMessage[] {
  return transport.frames.map((frame) => codecFor("json").decodeOutbound(frame));
}

/** The id of the question that a client was asked last. */
function questionOf(place: Place): string {
  const { envelope } = heard(place).findLast((one) => one.envelope.case === "surveyRequest") ?? {};
  if (envelope?.case !== "surveyRequest") throw new Error(`not asked: ${kinds(place.transport)}`);
  return envelope.value.requestId;
}

function answer(requestId: string, value = "7"): Init {
  const payload = { id: "a", source: "/c", type: "t", data: { case: "textData", value } } as const;
  return { id: "answer", envelope: { case: "surveyResponse", value: { requestId, payload } } };
}

function resultsOf(place: Place): SurveyResult[] {
  return heard(place).flatMap(({ id, envelope }) => {
    if (envelope.case !== "surveyResult") return [];
    expect(id).toBe("ask");
    return [envelope.value];
  });
}

async function resultOf(place: Place): Promise<SurveyResult> {
  await expect.poll(() => resultsOf(place).length).toBe(1);
  const [result] = resultsOf(place);
  if (result === undefined) throw new Error("no result");
  return result;
}

test("the asker gets every answer with its kind of data and who gave it, and the silent by their ids", async () => {
  const { engine, join, timers } = room();
  const asker = await join("poll.a");
  const [one, two, three] = [await join("poll.a", []), await join("poll.a"), await join("poll.a")];
  const outsider = await join("poll.b");
  const asking = send(asker.session, ask("poll.a", { othersOnly: true }));
  const id = questionOf(two);
  // The asker's own name for it is nobody else's affair.
  expect(id).not.toBe("mine");
  expect([one, three].map(questionOf)).toEqual([id, id]);
  expect([kinds(outsider.transport), kinds(asker.transport)]).toEqual([[], []]);
  await send(one.session, answer(id, "7"));
  const error = { code: "BUSY", type: "t", message: "later" };
  await send(two.session, {
    envelope: { case: "surveyResponse", value: { requestId: id, error } },
  });
  await send(outsider.session, answer(id));
  timers.fire();
  await asking;
  const { requestId, answers, silent, unreached, more } = await resultOf(asker);
  expect([requestId, silent, unreached, more]).toEqual(["mine", ["s4"], [], false]);
  expect(answers).toMatchObject([
    { sessionId: "s2", userId: "u2", clientId: "c2", payload: { data: { value: "7" } } },
    { sessionId: "s3", userId: "u3", clientId: "c3", error },
  ]);
  expect(answers[0]?.payload?.data.case).toBe("textData");
  expect(engine.stats()).toMatchObject({
    openSurveys: 0,
    surveys: 1,
    surveyAnswers: 2,
    surveySilent: 1,
    droppedAnswers: 1,
  });
});

test("it ends with the last answer, and what comes later is dropped and counted", async () => {
  const { engine, join } = room();
  const [asker, one] = [await join("poll.a"), await join("poll.a")];
  const asking = send(asker.session, ask("poll.a", { othersOnly: true, timeoutMs: 60_000 }));
  const id = questionOf(one);
  await send(one.session, answer(id, "first"));
  await asking;
  await send(one.session, answer(id, "second"));
  expect((await resultOf(asker)).answers.map(({ payload }) => payload?.data.value)).toEqual([
    "first",
  ]);
  expect(engine.stats().droppedAnswers).toBe(1);
});

test("a client without the capability, extended or of v1, gets the echo of v0.1.1 and asks nobody", async () => {
  const { engine, join } = room();
  const member = await join("poll.a");
  for (const capabilities of [[], ["history"]]) {
    const asker = await join("poll.a", capabilities);
    await send(asker.session, ask("poll.a"));
    const [echo] = heard(asker);
    expect(kinds(asker.transport)).toEqual(["surveyResponse"]);
    expect(echo?.envelope.value).toMatchObject({
      requestId: "mine",
      payload: { source: "poll.a", type: "com.messageloop.survey.response" },
    });
  }
  expect(kinds(member.transport)).toEqual([]);
  expect(engine.stats().surveys).toBe(0);
});

test.each([
  ["no channel", "", "", "BAD_REQUEST"],
  ["a pattern", "poll.**", "poll.**", "BAD_REQUEST"],
  ["a channel without surveys, as every one is by default", "room", "room", "BAD_REQUEST"],
  ["a channel that the client does not have", "poll.b", "poll.a", "ACL_ERROR"],
])("%s: nobody is asked", async (_, channel, own, code) => {
  const { engine, join } = room();
  const [asker, member] = [await join(own), await join(channel)];
  await send(asker.session, ask(channel));
  expect(kinds(asker.transport)).toEqual([`error ${code}`]);
  expect(kinds(member.transport)).toEqual([]);
  expect(engine.stats()).toMatchObject({ surveys: 0, openSurveys: 0 });
});

test("rules of access narrow who may ask in a channel that has surveys", async () => {
  const access = rulesOf("allow", rule("deny", "poll.closed", { actions: ["survey"] }));
  const { join } = room({ access });
  const [asker, member] = [await join("poll.*"), await join("poll.*")];
  await send(asker.session, ask("poll.closed", { othersOnly: true }));
  expect(kinds(asker.transport)).toEqual(["error ACL_ERROR"]);
  expect(kinds(member.transport)).toEqual([]);
  const asking = send(asker.session, ask("poll.open", { othersOnly: true }));
  await send(member.session, answer(questionOf(member)));
  await asking;
  expect(kinds(asker.transport)).toEqual(["error ACL_ERROR", "surveyResult"]);
});

test.each(["", "poll.**", "poll..a", "**"])(
  "what is no channel, such as %j, is BAD_REQUEST whatever the rules say of it",
  async (channel) => {
    const access = rulesOf("deny", rule("allow", "poll.a"), rule("deny", "poll.closed"));
    const { join } = room({ access });
    const asker = await join("poll.a");
    await send(asker.session, ask(channel));
    expect(kinds(asker.transport)).toEqual(["error BAD_REQUEST"]);
  },
);

test("a question that is no valid event is BAD_REQUEST, and none at all is one", async () => {
  const { join } = room();
  const [asker, member] = [await join("poll.a"), await join("poll.a")];
  const question = (payload: object | undefined): Init => ({
    channel: "poll.a",
    envelope: {
      case: "surveyRequest",
      value: { requestId: "mine", ...(payload && { payload }), othersOnly: true },
    },
  });
  await send(asker.session, question({ id: "\ud800" }));
  expect(kinds(asker.transport)).toEqual(["error BAD_REQUEST"]);
  expect(kinds(member.transport)).toEqual([]);
  const asking = send(asker.session, question(undefined));
  await send(member.session, answer(questionOf(member)));
  await asking;
  expect(kinds(asker.transport)).toEqual(["error BAD_REQUEST", "surveyResult"]);
});

test("with more subscribers than a survey may ask nobody is asked", async () => {
  const { engine, join } = room({ surveyAudience: 2 });
  const [asker, one, two] = [await join("poll.a"), await join("poll.a"), await join("poll.a")];
  await send(asker.session, ask("poll.a"));
  expect(kinds(asker.transport)).toEqual(["error TOO_LARGE"]);
  expect([kinds(one.transport), kinds(two.transport)]).toEqual([[], []]);
  expect(engine.stats()).toMatchObject({ surveys: 0, openSurveys: 0 });
  // Two others are as many as may be.
  const asking = send(asker.session, ask("poll.a", { othersOnly: true }));
  for (const { session } of [one, two]) await send(session, answer(questionOf(one)));
  await asking;
  expect((await resultOf(asker)).answers).toHaveLength(2);
});

test("an asker that is a subscriber is asked itself, and its answer ends the survey like any other", async () => {
  const { join } = room();
  const asker = await join("poll.a");
  const asking = send(asker.session, ask("poll.a"));
  await send(asker.session, answer(questionOf(asker), "mine too"));
  await asking;
  expect(await resultOf(asker)).toMatchObject({
    answers: [{ sessionId: "s", payload: { data: { value: "mine too" } } }],
    silent: [],
  });
});

test("others_only without others ends at once", async () => {
  const { join } = room();
  const asker = await join("poll.a");
  await send(asker.session, ask("poll.a", { othersOnly: true }));
  expect(await resultOf(asker)).toMatchObject({ answers: [], silent: [], unreached: [] });
});

test("a member by a pattern is asked in a channel of it, and may ask there", async () => {
  const { join } = room();
  const [asker, byPattern] = [await join("poll.*"), await join("poll.**")];
  const both = await join("poll.a");
  await send(both.session, subscribe("poll.*"));
  const asking = send(asker.session, ask("poll.a", { othersOnly: true }));
  for (const { session } of [byPattern, both]) await send(session, answer(questionOf(byPattern)));
  await asking;
  const { answers } = await resultOf(asker);
  expect(answers.map(({ sessionId }) => sessionId)).toEqual(["s2", "s3"]);
  // Whoever has it both ways was asked once.
  expect(kinds(both.transport).filter((kind) => kind === "surveyRequest")).toHaveLength(1);
});

test("a session has one survey at a time, and another once it has ended", async () => {
  const { join } = room();
  const [asker, member] = [await join("poll.a"), await join("poll.a")];
  const first = send(asker.session, ask("poll.a", { othersOnly: true }));
  await send(asker.session, ask("poll.a", { othersOnly: true }));
  const [refused] = heard(asker);
  expect(refused?.envelope.value).toMatchObject({
    code: "RATE_LIMITED",
    metadata: { retry_after_ms: 1_000 },
  });
  await send(member.session, answer(questionOf(member)));
  await first;
  const second = send(asker.session, ask("poll.a", { othersOnly: true }));
  await send(member.session, answer(questionOf(member)));
  await second;
  expect(kinds(asker.transport)).toEqual(["error RATE_LIMITED", "surveyResult", "surveyResult"]);
});

test("a session begins so many surveys a minute, is told how long to wait, and refusals cost nothing", async () => {
  const { clock, join } = room({ surveysPerMinute: 2 });
  const asker = await join("poll.a");
  const alone = ask("poll.a", { othersOnly: true });
  await send(asker.session, ask("poll.none"));
  for (let i = 0; i < 3; i++) await send(asker.session, alone);
  expect(kinds(asker.transport)).toEqual([
    "error ACL_ERROR",
    "surveyResult",
    "surveyResult",
    "error RATE_LIMITED",
  ]);
  const refused = heard(asker).at(-1)?.envelope;
  expect(refused?.value).toMatchObject({ metadata: { retry_after_ms: 30_000 } });
  clock.time += 30_000;
  await send(asker.session, alone);
  expect(kinds(asker.transport).at(-1)).toBe("surveyResult");
});

test("the node has so many surveys open, whoever has begun them", async () => {
  const { engine, join, timers } = room({ openSurveys: 2 });
  const [first, second, third] = [await join("poll.a"), await join("poll.b"), await join("poll.a")];
  const question = ask("poll.a", { othersOnly: true });
  const open = [send(first.session, question), send(second.session, ask("poll.b"))];
  await send(third.session, question);
  expect(kinds(third.transport)).toEqual(["surveyRequest", "error RATE_LIMITED"]);
  const { envelope } = heard(second)[0] ?? {};
  if (envelope?.case !== "surveyRequest") throw new Error(`${envelope?.case}`);
  const event = envelope.value.payload;
  if (event === undefined) throw new Error("no question");
  await expect(engine.survey("poll.a", event)).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(engine.stats().openSurveys).toBe(2);
  timers.fire();
  await Promise.all(open);
  const next = send(third.session, question);
  await send(first.session, answer(questionOf(first)));
  await next;
  expect(kinds(third.transport).at(-1)).toBe("surveyResult");
});

test("a longer answer than may be is TOO_LARGE for who gives it and for who asks, and ends its part", async () => {
  const { join } = room({ surveyAnswerBytes: 1_000, surveyResultBytes: 1_500 });
  const asker = await join("poll.a");
  const members = [await join("poll.a"), await join("poll.a"), await join("poll.a")];
  const asking = send(asker.session, ask("poll.a", { othersOnly: true }));
  const id = questionOf(members[0] as Place);
  const lengths = [1_000, 900, 900];
  for (const [i, { session }] of members.entries()) {
    await send(session, answer(id, "x".repeat(lengths[i] ?? 0)));
  }
  await asking;
  expect(members.map(({ transport }) => kinds(transport))).toEqual([
    ["surveyRequest", "error TOO_LARGE"],
    ["surveyRequest"],
    ["surveyRequest"],
  ]);
  const { answers, silent } = await resultOf(asker);
  expect(silent).toEqual([]);
  expect(
    answers.map(({ error, payload }) => error?.code ?? `${payload?.data.value}`.length),
  ).toEqual(["TOO_LARGE", 900, "TOO_LARGE"]);
  expect(answers[0]?.payload).toBeUndefined();
  // An error can be as long as an event.
  const again = send(asker.session, ask("poll.a", { othersOnly: true }));
  const value = {
    requestId: questionOf(members[1] as Place),
    error: { message: "x".repeat(1_000) },
  };
  for (const { session } of members) {
    await send(session, { envelope: { case: "surveyResponse", value } });
  }
  await again;
  const second = resultsOf(asker).at(-1)?.answers ?? [];
  expect(second.map(({ error }) => error?.code)).toEqual(["TOO_LARGE", "TOO_LARGE", "TOO_LARGE"]);
});

test.each([
  [0, 5_000],
  [1, 1],
  [59_999, 59_999],
  [4_294_967_295, 60_000],
])("a survey that asks for %i ms lasts %i ms", async (timeoutMs, lasts) => {
  const { join, timers } = room();
  const asker = await join("poll.a");
  const after = vi.spyOn(timers, "after");
  const asking = send(asker.session, ask("poll.a", { timeoutMs }));
  const waits = after.mock.calls.map(([ms]) => ms);
  expect(waits).toContain(lasts);
  expect(Math.max(...waits)).toBeLessThanOrEqual(60_000);
  timers.fire();
  await asking;
  expect((await resultOf(asker)).silent).toEqual(["s"]);
});

test("a subscriber whose socket takes nothing holds the survey to its timeout, and no longer", async () => {
  const { join, timers } = room();
  const [asker, stuck, broken] = [await join("poll.a"), await join("poll.a"), await join("poll.a")];
  stuck.transport.write = () => {};
  broken.transport.write = () => {
    throw new Error("the socket is gone");
  };
  const asking = send(asker.session, ask("poll.a"));
  await send(asker.session, answer(questionOf(asker)));
  expect(resultsOf(asker)).toEqual([]);
  timers.fire();
  await asking;
  const { answers, silent } = await resultOf(asker);
  expect(answers).toHaveLength(1);
  expect([...silent].sort()).toEqual(["s2", "s3"]);
});

test("an asker that goes is told nothing, and its survey is over at once and takes no place", async () => {
  const { engine, join } = room({ openSurveys: 1 });
  const [asker, member] = [await join("poll.a"), await join("poll.a")];
  const asking = send(asker.session, ask("poll.a", { othersOnly: true, timeoutMs: 60_000 }));
  const id = questionOf(member);
  const early = send(member.session, ask("poll.a"));
  await early;
  expect(kinds(member.transport).at(-1)).toBe("error RATE_LIMITED");
  asker.session.end(false);
  await asking;
  expect(kinds(asker.transport)).toEqual([]);
  expect(engine.stats()).toMatchObject({ openSurveys: 0, surveys: 1, internalErrors: 0 });
  await send(member.session, answer(id));
  expect(engine.stats().droppedAnswers).toBe(1);
  const again = send(member.session, ask("poll.a"));
  await send(member.session, answer(questionOf(member)));
  await again;
  expect(resultsOf(member)).toHaveLength(1);
});

test("a long result comes in parts that a client reads, with the request's metadata in the first", async () => {
  const MOST = 4_096;
  const { engine, join, timers } = room();
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, "asker", "json");
  await connectWith(session, { token: "u0", capabilities: ["survey"], maxFrameBytes: MOST });
  await send(session, subscribe("poll.a"));
  transport.frames.length = 0;
  const members: Place[] = [];
  for (let i = 0; i < 60; i++) members.push(await join("poll.a"));
  const metadata = { trace: "t".repeat(500) };
  const asking = send(session, ask("poll.a", { othersOnly: true, metadata }));
  const id = questionOf(members[0] as Place);
  for (const [i, member] of members.slice(0, 40).entries()) {
    await send(member.session, answer(id, `${i}`.repeat(100)));
  }
  timers.fire();
  await asking;
  const asker = { session, transport };
  const parts = resultsOf(asker);
  expect(parts.length).toBeGreaterThan(2);
  expect(parts.map(({ more }) => more)).toEqual(parts.map((_, i) => i < parts.length - 1));
  expect(parts.flatMap(({ answers }) => answers.map(({ payload }) => payload?.data.value))).toEqual(
    Array.from({ length: 40 }, (_, i) => `${i}`.repeat(100)),
  );
  expect(parts.flatMap(({ silent }) => silent)).toEqual(
    members.slice(40).map((member) => member.session.id),
  );
  expect(heard(asker).map((message) => message.metadata)).toEqual(
    parts.map((_, i) => (i === 0 ? metadata : {})),
  );
  for (const frame of transport.frames.slice(1))
    expect(sized(frame).bytes).toBeLessThanOrEqual(MOST);
});
