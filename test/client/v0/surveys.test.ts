/** Surveys by the SDK, against a scripted server: asking, a long result, refusals, and answering. */
import { expect, test, vi } from "vitest";
import { createCloudEvent, MessagingError } from "../../../src/client/v0/index.ts";
import { connected, type ScriptedSocket } from "./scripted-socket.ts";

/** A process that others keep from its turn may need more than the tool's second. */
const PATIENT = { timeout: 10_000 };

const ENCODINGS = ["json", "proto"] as const;
const GRANTED = { capabilities: ["survey"] };
const QUESTION = createCloudEvent({ id: "q", source: "/asker", type: "question", data: "?" });

function payload(data: string) {
  return {
    id: "a",
    source: "/c",
    type: "answer",
    specVersion: "1.0",
    data: { case: "textData", value: data },
  } as const;
}

/** What the SDK has answered last. */
async function answered(socket: ScriptedSocket, count: number) {
  const answers = () => socket.sent.filter(({ envelope }) => envelope.case === "surveyResponse");
  await vi.waitUntil(() => answers().length === count, PATIENT);
  return answers().at(-1)?.envelope.value;
}

function ask(socket: ScriptedSocket, requestId: string): void {
  const question = { ...payload("how many?"), id: requestId, source: "room" };
  const envelope = { case: "surveyRequest", value: { requestId, payload: question } } as const;
  socket.message({ id: "random", envelope });
}

test.each(ENCODINGS)("%s: a survey resolves with all parts of its result", async (encoding) => {
  const { client, socket } = await connected(encoding, GRANTED);
  const asking = client.survey("room", QUESTION, { timeoutMs: 1_500.2, othersOnly: true });
  expect(socket.sent.at(-1)).toMatchObject({
    channel: "room",
    envelope: {
      case: "surveyRequest",
      value: { requestId: "q", payload: { id: "q" }, timeoutMs: 1_501, othersOnly: true },
    },
  });
  const error = { code: "BUSY", type: "t", message: "later" };
  const answers = [{ sessionId: "1", userId: "ada", clientId: "tablet", payload: payload("yes") }];
  socket.answer({ case: "surveyResult", value: { requestId: "q", answers, more: true } });
  const rest = { answers: [{ sessionId: "2", error }], silent: ["3"] };
  socket.answer({ case: "surveyResult", value: { requestId: "q", ...rest, more: true } });
  const unreached = [{ node: "n", reason: "timeout" }];
  socket.answer({ case: "surveyResult", value: { requestId: "q", unreached } });
  expect(await asking).toMatchObject({
    answers: [
      { sessionId: "1", userId: "ada", clientId: "tablet", event: { data: "yes" } },
      { sessionId: "2", error, event: undefined },
    ],
    silent: ["3"],
    unreached: [{ node: "n", reason: "timeout" }],
  });
});

test("a survey rejects with the server's error, however late it comes, and when the connection is lost", async () => {
  const { client, socket } = await connected("json", GRANTED);
  const refused = client.survey("room", QUESTION);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const metadata = { retry_after_ms: 100 };
  socket.answer({ case: "error", value: { code: "RATE_LIMITED", message: "busy", metadata } });
  await expect(refused).rejects.toMatchObject({ code: "RATE_LIMITED", metadata });
  const halfway = client.survey("room", QUESTION);
  socket.answer({ case: "surveyResult", value: { requestId: "q", silent: ["1"], more: true } });
  socket.answer({ case: "error", value: { code: "INTERNAL_ERROR" } });
  await expect(halfway).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
  const echoed = client.survey("room", QUESTION);
  socket.answer({ case: "surveyResponse", value: { requestId: "q" } });
  await expect(echoed).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
  const lost = client.survey("room", QUESTION);
  socket.end(1006);
  await expect(lost).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a survey that no result comes of rejects a while after its own time", async () => {
  const { client } = await connected("json", GRANTED);
  vi.useFakeTimers();
  try {
    const settled = vi.fn();
    const late = client.survey("room", QUESTION, { timeoutMs: 1e9 });
    late.catch(settled);
    await vi.advanceTimersByTimeAsync(64_999);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toHaveBeenCalledWith(expect.objectContaining({ code: "UNAVAILABLE" }));
  } finally {
    vi.useRealTimers();
  }
});

test("what cannot be asked is refused before anything is sent", async () => {
  const { client, socket } = await connected("json", GRANTED);
  const sent = socket.sent.length;
  for (const timeoutMs of [0, -1, Number.NaN]) {
    const refused = client.survey("room", QUESTION, { timeoutMs });
    await expect(refused).rejects.toMatchObject({ code: "BAD_REQUEST" });
  }
  expect(socket.sent).toHaveLength(sent);
  const old = await connected("json");
  await expect(old.client.survey("room", QUESTION)).rejects.toMatchObject({
    code: "UNIMPLEMENTED",
  });
});

test.each(ENCODINGS)("%s: a question is answered by the handler", async (encoding) => {
  const { client, socket } = await connected(encoding);
  const asked: unknown[] = [];
  client.onSurvey(async (question, channel) => {
    asked.push([channel, question.data]);
    return createCloudEvent({ id: "mine", source: "/me", type: "answer", data: "7" });
  });
  ask(socket, "one");
  expect(await answered(socket, 1)).toMatchObject({
    requestId: "one",
    payload: { id: "mine", data: { case: "textData", value: "7" } },
  });
  expect(asked).toEqual([["room", "how many?"]]);
});

test("without a handler, and when it fails, the answer is an error, so that no survey waits", async () => {
  const { client, socket } = await connected("json");
  const errors: MessagingError[] = [];
  client.onError((error) => errors.push(error));
  ask(socket, "one");
  expect(await answered(socket, 1)).toMatchObject({
    requestId: "one",
    error: { code: "UNIMPLEMENTED" },
  });
  client.onSurvey(() => {
    throw new MessagingError("BUSY", "not now");
  });
  ask(socket, "two");
  expect(await answered(socket, 2)).toMatchObject({ error: { code: "BUSY", message: "not now" } });
  expect(errors).toEqual([]);
  const boom = new Error("stack of 10.1.2.3");
  client.onSurvey(() => Promise.reject(boom));
  ask(socket, "three");
  const failed = await answered(socket, 3);
  expect(failed).toMatchObject({ requestId: "three", error: { code: "INTERNAL_ERROR" } });
  expect(JSON.stringify(failed)).not.toContain("10.1.2.3");
  expect(errors).toMatchObject([{ code: "INTERNAL_ERROR", cause: boom }]);
});

test("an answer that is ready when the connection has ended goes nowhere", async () => {
  const { client, socket } = await connected("json");
  const { promise, resolve } = Promise.withResolvers<void>();
  client.onSurvey(async () => {
    await promise;
    return createCloudEvent({ source: "/me", type: "answer" });
  });
  ask(socket, "one");
  socket.end(1006);
  const { length } = socket.sent;
  resolve();
  await new Promise((done) => setTimeout(done, 10));
  expect(socket.sent).toHaveLength(length);
});
