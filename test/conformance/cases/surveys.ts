/** Surveys from the server's side and the echo of a client's own. */
import assert from "node:assert/strict";
import { type Client, textOf, valueAs } from "../../support/client.ts";
import type { ToldSurvey } from "../backend.ts";
import { type Case, type Context, KINDS, ONE } from "../case.ts";

const SERVER = "backend";

interface Request {
  readonly channel: string;
  readonly text: string;
  readonly timeoutMs?: number;
}

async function survey(caller: Client, request: Request): Promise<ToldSurvey> {
  const reply = valueAs(await caller.rpc("survey", JSON.stringify(request)), "rpcReply");
  return JSON.parse(textOf(reply)) as ToldSurvey;
}

function answer(client: Client, requestId: string, text: string): void {
  const payload = { id: "a", source: "/c", type: "t", data: { case: "textData", value: text } };
  client.send({ envelope: { case: "surveyResponse", value: { requestId, payload } } } as Parameters<
    Client["send"]
  >[0]);
}

async function readers(context: Context, channel: string) {
  return await Promise.all(KINDS.map(async (kind) => await context.subscriber(channel, kind)));
}

export const surveyCases: readonly Case[] = [
  {
    rules: ["V1", "V2", "V4"],
    title: "every subscriber is asked, and the survey ends when all have answered",
    server: SERVER,
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const asked = await readers(context, channel);
      const outsider = await context.client();
      const outcome = survey(outsider, { channel, text: "how many?" });
      for (const [index, client] of asked.entries()) {
        const { requestId, payload } = await client.next("surveyRequest");
        assert.equal(payload?.id, requestId);
        assert.equal(payload?.source, channel);
        assert.equal(payload?.type, "com.messageloop.survey");
        assert.equal(textOf(payload), "how many?");
        assert.equal(payload?.data.case, client.extended ? "textData" : "binaryData");
        answer(client, requestId, `${index}`);
      }
      const { answers, silent, tookMs } = await outcome;
      assert.deepEqual(answers.map(({ text }) => text).sort(), ["0", "1", "2", "3"]);
      assert.ok(answers.every(({ data }) => data === "textData"));
      assert.deepEqual(silent, []);
      assert.ok(tookMs < 4_000, `took ${tookMs} ms`);
      assert.deepEqual(
        outsider.replies.filter(({ envelope }) => envelope.case === "surveyRequest"),
        [],
      );
    },
  },
  {
    rules: ["V3", "V4"],
    title: "first answers count, errors are answers, the silent are named",
    server: SERVER,
    async run(context) {
      const channel = context.channel();
      const first = await context.subscriber(channel);
      const refusing = await context.subscriber(channel);
      const silent = await context.open();
      const { sessionId } = valueAs(
        await silent.connect({ subscriptions: [{ channel }] }),
        "connected",
      );
      const outsider = await context.client();
      const outcome = survey(outsider, { channel, text: "?", timeoutMs: 2_500 });
      const { requestId } = await first.next("surveyRequest");
      answer(outsider, requestId, "not asked");
      await outsider.ping();
      answer(first, requestId, "first");
      answer(first, requestId, "second");
      answer(first, "another", "unknown");
      const error = { code: "BUSY", type: "t", message: "later" };
      refusing.send({ envelope: { case: "surveyResponse", value: { requestId, error } } });
      const told = await outcome;
      assert.deepEqual(told.answers.map(({ text, error: code }) => `${text}${code}`).sort(), [
        "BUSY",
        "first",
      ]);
      assert.deepEqual(told.silent, [sessionId]);
      answer(first, requestId, "late");
      // There is no reply to an answer, whether it counted or not.
      const before = first.frames.length;
      await first.ping();
      assert.equal(first.frames.length, before + 1);
    },
  },
  {
    rules: ["V4"],
    title: "who leaves is not waited for, and without subscribers it ends at once",
    server: SERVER,
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const staying = await context.subscriber(channel);
      const leaving = await context.subscriber(channel);
      const caller = await context.client();
      const outcome = survey(caller, { channel, text: "?" });
      const { requestId } = await staying.next("surveyRequest");
      answer(staying, requestId, "here");
      await leaving.next("surveyRequest");
      leaving.socket.terminate();
      const { answers, silent, tookMs } = await outcome;
      assert.equal(answers.length, 1);
      assert.equal(silent.length, 1);
      assert.ok(tookMs < 4_000, `took ${tookMs} ms`);
      const nobody = await survey(caller, { channel: context.channel(), text: "?" });
      assert.deepEqual([nobody.answers, nobody.silent], [[], []]);
    },
  },
  {
    rules: ["V5"],
    title: "a client's own survey_request is echoed as binary_data",
    async run(context) {
      const client = await context.client();
      const payload = { id: "q", data: { case: "textData", value: "\u00fc?" } } as const;
      const reply = await client.request({
        channel: "poll",
        envelope: { case: "surveyRequest", value: { requestId: "mine", payload } },
      });
      const echo = valueAs(reply, "surveyResponse");
      assert.equal(echo.requestId, "mine");
      assert.equal(echo.payload?.source, "poll");
      assert.equal(echo.payload?.type, "com.messageloop.survey.response");
      assert.equal(echo.payload?.data.case, "binaryData");
      assert.equal(textOf(echo.payload), "\u00fc?");
    },
  },
];
