/** Surveys that clients start, over all nodes. */
import assert from "node:assert/strict";
import type { CloudEvent } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SurveyResult } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, type ConnectInit, textOf, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, type Context, EXTENDED, KINDS, ONE, type OpenOptions } from "../case.ts";
import { SURVEYS } from "../variants.ts";

const SERVER = "rules";
const ASKING = { extended: true, capabilities: ["survey"] } as const;

interface Asked {
  readonly timeoutMs?: number;
  readonly othersOnly?: boolean;
}

interface Told {
  /** Code of the refusal; empty where there is a result. */
  readonly error: string;
  readonly retryAfterMs: unknown;
  readonly answers: SurveyResult["answers"];
  readonly silent: readonly string[];
  readonly unreached: SurveyResult["unreached"];
  readonly tookMs: number;
}

/** Has a client ask the others, and resolves with all that it is told. */
async function survey(asker: Client, channel: string, more: Asked = {}): Promise<Told> {
  const began = Date.now();
  const id = crypto.randomUUID();
  const data = { case: "textData", value: "how many?" } as const;
  const payload = { id: "q", source: "/asker", type: "question", data };
  const value = { requestId: "mine", payload, othersOnly: true, ...more };
  asker.send({ id, channel, envelope: { case: "surveyRequest", value } });
  const replies = await asker.until(() => {
    const all = asker.replies.filter((reply) => reply.id === id);
    const last = all.at(-1)?.envelope;
    const open = last === undefined || (last.case === "surveyResult" && last.value.more);
    return open ? undefined : all;
  });
  const refusal = replies.find(({ envelope }) => envelope.case === "error")?.envelope;
  const error = refusal?.case === "error" ? refusal.value : undefined;
  const parts = error === undefined ? replies.map((reply) => valueAs(reply, "surveyResult")) : [];
  assert.ok(parts.every(({ requestId }) => requestId === "mine"));
  return {
    error: error?.code ?? "",
    retryAfterMs: error?.metadata?.["retry_after_ms"],
    answers: parts.flatMap(({ answers }) => answers),
    silent: parts.flatMap(({ silent }) => silent),
    unreached: parts.flatMap(({ unreached }) => unreached),
    tookMs: Date.now() - began,
  };
}

interface Member {
  readonly client: Client;
  readonly id: string;
}

/** A client with one subscription, on one of the nodes. */
async function member(
  context: Context,
  channel: string,
  node: number,
  { connect = {}, ...options }: OpenOptions & { readonly connect?: ConnectInit } = {},
): Promise<Member> {
  const client = await context.open({ ...options, node });
  const reply = await client.connect({ subscriptions: [{ channel }], ...connect });
  return { client, id: valueAs(reply, "connected").sessionId };
}

async function asker(context: Context, channel: string): Promise<Member> {
  return await member(context, channel, 0, ASKING);
}

function answer({ client }: Member, requestId: string, data: CloudEvent["data"]): void {
  const payload = { id: "a", source: "/c", type: "t", data };
  client.send({
    envelope: { case: "surveyResponse", value: { requestId, payload } },
  } as Parameters<Client["send"]>[0]);
}

function text(value: string): CloudEvent["data"] {
  return { case: "textData", value };
}

/** The id of the question that a member is asked as its n-th. */
async function question({ client }: Member, n = 1): Promise<string> {
  return (await client.several("surveyRequest", n))[n - 1]?.requestId ?? "";
}

/** Has heard nothing of a survey, not even late. */
async function unasked({ client }: Member): Promise<void> {
  await client.ping();
  assert.deepEqual(client.all("surveyRequest"), []);
}

function said(answers: SurveyResult["answers"]): Map<string, string> {
  assert.equal(new Set(answers.map(({ sessionId }) => sessionId)).size, answers.length);
  return new Map(
    answers.map(({ sessionId, payload, error }) => [sessionId, error?.code ?? textOf(payload)]),
  );
}

export const clientSurveyCases: readonly Case[] = [
  {
    rules: ["V1", "V4", "V6", "V7"],
    title: "a client asks the subscribers of every node, and the survey ends with the last answer",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const members = await Promise.all(
        KINDS.map((kind, i) =>
          // The last one hears the channel by a pattern.
          member(context, i === 3 ? "poll.*" : channel, i % 2, {
            ...kind,
            connect: { clientId: `m${i}` },
          }),
        ),
      );
      const outsider = await member(context, context.channel("poll"), 1);
      const outcome = survey(asking.client, channel, { timeoutMs: 20_000 });
      const kept: readonly CloudEvent["data"][] = [
        text("0"),
        { case: "binaryData", value: new TextEncoder().encode("1") },
        { case: "binaryData", value: new TextEncoder().encode("2") },
        text("3"),
      ];
      for (const [i, one] of members.entries()) {
        const { requestId, payload } = await one.client.next("surveyRequest");
        assert.notEqual(requestId, "mine");
        assert.equal(payload?.id, requestId);
        assert.equal(payload?.source, channel);
        assert.equal(payload?.type, "question");
        assert.equal(textOf(payload), "how many?");
        answer(one, requestId, kept[i] ?? text(""));
      }
      const { error, answers, silent, unreached, tookMs } = await outcome;
      assert.deepEqual([error, silent, unreached], ["", [], []]);
      assert.ok(tookMs < 10_000, `took ${tookMs} ms`);
      const told = answers.toSorted((a, b) => a.clientId.localeCompare(b.clientId));
      assert.deepEqual(
        told.map(({ sessionId, clientId, payload }) => [
          sessionId,
          clientId,
          payload?.data.case,
          textOf(payload),
        ]),
        members.map(({ id }, i) => [id, `m${i}`, kept[i]?.case, `${i}`]),
      );
      await unasked(outsider);
      await unasked(asking);
    },
  },
  {
    rules: ["V3", "V4", "V7"],
    title: "errors are answers, the silent and the gone are named, and nobody is an answer too",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const nobody = await survey(asking.client, channel, { timeoutMs: 20_000 });
      assert.deepEqual([nobody.error, nobody.answers, nobody.silent], ["", [], []]);
      assert.ok(nobody.tookMs < 10_000, `took ${nobody.tookMs} ms`);
      const places = [0, 1, 1, 0];
      const members = await Promise.all(places.map((node) => member(context, channel, node)));
      const [refusing, silent, leaving, answering] = members as [Member, Member, Member, Member];
      const outcome = survey(asking.client, channel, { timeoutMs: 2_500 });
      const requestId = await question(refusing);
      const error = { code: "BUSY", type: "t", message: "later" };
      refusing.client.send({ envelope: { case: "surveyResponse", value: { requestId, error } } });
      answer(answering, await question(answering), text("here"));
      await question(leaving);
      leaving.client.socket.close(1000);
      const told = await outcome;
      const known = said(told.answers);
      assert.deepEqual(
        [known.get(refusing.id), known.get(answering.id), known.size],
        ["BUSY", "here", 2],
      );
      assert.equal(told.answers.find(({ error: of }) => of !== undefined)?.error?.message, "later");
      assert.deepEqual([...told.silent].sort(), [silent.id, leaving.id].toSorted());
      assert.deepEqual(told.unreached, []);
    },
  },
  {
    rules: ["V6"],
    title: "surveys are off by default, and for channels that the client has",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const [off, mine, theirs] = [
        context.channel("talk"),
        context.channel("poll"),
        context.channel("poll"),
      ];
      const subscriptions = [{ channel: off }, { channel: mine }];
      const asking = await member(context, mine, 0, { ...ASKING, connect: { subscriptions } });
      const members = [
        await member(context, off, 0),
        await member(context, off, 1),
        await member(context, theirs, 0),
        await member(context, theirs, 1),
      ];
      for (const [channel, code] of [
        [off, "BAD_REQUEST"],
        ["", "BAD_REQUEST"],
        ["poll.*", "BAD_REQUEST"],
        [theirs, "ACL_ERROR"],
      ] as const) {
        assert.equal((await survey(asking.client, channel)).error, code, channel);
      }
      for (const one of members) await unasked(one);
    },
  },
  {
    rules: ["V8"],
    title: "with more subscribers on all nodes than a survey may ask nobody is asked",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const members = await Promise.all(
        Array.from({ length: SURVEYS.audience }, (_, i) => member(context, channel, i % 2)),
      );
      // Without the asker they are as many as may be.
      const refused = await survey(asking.client, channel, { othersOnly: false });
      assert.equal(refused.error, "TOO_LARGE");
      for (const one of [...members, asking]) await unasked(one);
      const outcome = survey(asking.client, channel, { timeoutMs: 20_000 });
      for (const one of members) answer(one, await question(one), text("here"));
      assert.equal((await outcome).answers.length, SURVEYS.audience);
    },
  },
  {
    rules: ["V3"],
    title: "answers of those who were not asked, second and late ones are dropped and counted",
    server: SERVER,
    kinds: ONE,
    observes: ["stats"],
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const outsider = await member(context, context.channel("poll"), 0);
      const [near, far] = [await member(context, channel, 0), await member(context, channel, 1)];
      const { droppedAnswers: before } = await context.stats();
      const outcome = survey(asking.client, channel, { timeoutMs: 20_000 });
      const requestId = await question(near);
      answer(outsider, requestId, text("not asked"));
      answer(asking, requestId, text("not asked either"));
      await outsider.client.ping();
      await asking.client.ping();
      answer(near, requestId, text("first"));
      answer(near, requestId, text("second"));
      answer(near, "another", text("unknown"));
      await near.client.ping();
      answer(far, await question(far), text("far"));
      const { answers } = await outcome;
      const told = said(answers);
      assert.deepEqual([told.get(near.id), told.get(far.id), told.size], ["first", "far", 2]);
      answer(far, requestId, text("late"));
      await far.client.ping();
      await eventually(
        async () => (await context.stats()).droppedAnswers - before,
        (dropped) => dropped === 5,
      );
    },
  },
  {
    rules: ["V2", "V10"],
    title: "an answer that is too long, and one that has no room in the result, are told as such",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const places = [0, 1, 0, 1];
      const members = await Promise.all(places.map((node) => member(context, channel, node)));
      const [long] = members as [Member];
      const first = survey(asking.client, channel, { timeoutMs: 20_000 });
      const requestId = await question(long);
      answer(long, requestId, text("x".repeat(SURVEYS.answerBytes + 1)));
      assert.equal((await long.client.next("error")).code, "TOO_LARGE");
      for (const one of members.slice(1)) answer(one, await question(one), text("short"));
      const told = said((await first).answers);
      assert.equal(told.get(long.id), "TOO_LARGE");
      assert.equal([...told.values()].filter((one) => one === "short").length, 3);
      const fits = "y".repeat(SURVEYS.answerBytes - 50);
      const second = survey(asking.client, channel, { timeoutMs: 20_000 });
      for (const one of members) answer(one, await question(one, 2), text(fits));
      const { answers, silent } = await second;
      const all = [...said(answers).values()];
      assert.deepEqual([all.length, silent], [4, []]);
      const room = Math.floor(SURVEYS.resultBytes / SURVEYS.answerBytes);
      assert.equal(all.filter((one) => one === fits).length, room);
      assert.equal(all.filter((one) => one === "TOO_LARGE").length, 4 - room);
    },
  },
  {
    rules: ["V4"],
    title: "a subscriber whose socket is stuck holds a survey to its timeout and no longer",
    server: SERVER,
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const near = await member(context, channel, 0);
      const client = await context.webSocket({ node: 1 });
      const reply = await client.connect({ subscriptions: [{ channel }] });
      client.socket.pause();
      const outcome = survey(asking.client, channel, { timeoutMs: 2_500 });
      answer(near, await question(near), text("here"));
      const { answers, silent, tookMs } = await outcome;
      assert.deepEqual([...said(answers)], [[near.id, "here"]]);
      assert.deepEqual(silent, [valueAs(reply, "connected").sessionId]);
      assert.ok(tookMs >= 2_000 && tookMs < 10_000, `took ${tookMs} ms`);
    },
  },
  {
    rules: ["V1", "V6"],
    title:
      "an asker is asked itself and its answer counts; who has a channel by a pattern asks and is asked",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("poll");
      const pattern = "poll.*";
      const asking = await member(context, pattern, 0, ASKING);
      const alone = survey(asking.client, channel, { othersOnly: false, timeoutMs: 20_000 });
      answer(asking, await question(asking), text("myself"));
      const first = await alone;
      assert.deepEqual([...said(first.answers)], [[asking.id, "myself"]]);
      assert.ok(first.tookMs < 10_000, `took ${first.tookMs} ms`);
      const far = await member(context, pattern, 1);
      const both = survey(asking.client, channel, { othersOnly: false, timeoutMs: 20_000 });
      answer(asking, await question(asking, 2), text("myself"));
      answer(far, await question(far), text("far"));
      const told = said((await both).answers);
      assert.deepEqual([told.get(asking.id), told.get(far.id), told.size], ["myself", "far", 2]);
    },
  },
  {
    rules: ["V9"],
    title: "a session has one survey at a time and so many a minute",
    server: SERVER,
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("poll");
      const asking = await asker(context, channel);
      const far = await member(context, channel, 1);
      const first = survey(asking.client, channel, { timeoutMs: 20_000 });
      const requestId = await question(far);
      const beside = await survey(asking.client, channel);
      assert.equal(beside.error, "RATE_LIMITED");
      assert.ok(Number(beside.retryAfterMs) > 0, `${beside.retryAfterMs}`);
      answer(far, requestId, text("here"));
      assert.equal((await first).answers.length, 1);
      await far.client.unsubscribe(channel);
      for (let i = 1; i < SURVEYS.perMinute; i++) {
        assert.equal((await survey(asking.client, channel)).error, "");
      }
      const often = await survey(asking.client, channel);
      assert.equal(often.error, "RATE_LIMITED");
      assert.ok(Number(often.retryAfterMs) > 1_000, `${often.retryAfterMs}`);
    },
  },
  {
    rules: ["V9"],
    title: "a node has so many surveys open",
    server: SERVER,
    kinds: ONE,
    async run(context) {
      const askers = await Promise.all(
        Array.from({ length: SURVEYS.open + 1 }, async () => {
          const channel = context.channel("poll");
          return { channel, ...(await asker(context, channel)) };
        }),
      );
      const terms = { othersOnly: false, timeoutMs: 20_000 };
      const open: Promise<Told>[] = [];
      for (const one of askers.slice(0, SURVEYS.open)) {
        open.push(survey(one.client, one.channel, terms));
        await question(one);
      }
      const last = askers.at(-1);
      if (last === undefined) throw new Error("nobody asks");
      const refused = await survey(last.client, last.channel, terms);
      assert.equal(refused.error, "RATE_LIMITED");
      assert.ok(Number(refused.retryAfterMs) > 0, `${refused.retryAfterMs}`);
      await unasked(last);
      for (const one of askers.slice(0, SURVEYS.open)) answer(one, await question(one), text(""));
      await Promise.all(open);
      assert.equal((await survey(last.client, last.channel)).error, "");
    },
  },
];
