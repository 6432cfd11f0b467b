/** Surveys: who is asked, whose answer counts, and when they end. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { connect, type Init, kinds, scene, send } from "./scene.ts";

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
