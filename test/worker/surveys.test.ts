/** Surveys in the true runtime: gateways that sleep are woken, and one that is reset meanwhile is named. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { requestEngine } from "../../src/worker/doors/request-engine.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { textOf, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel } from "./socket.ts";

// Before any object is made.
Object.assign(env, { messageloop: { channels: [{ pattern: "left.*", survey: true }] } });

const question = create(CloudEventSchema, { data: { case: "textData", value: "how many?" } });

async function member(gateway: string, channel: string): Promise<{ client: Client; id: string }> {
  const client = await Client.open({ gateway });
  const reply = await client.connect({ subscriptions: [{ channel }] });
  return { client, id: valueAs(reply, "connected").sessionId };
}

async function answer(client: Client, value: string): Promise<void> {
  const { requestId } = await client.next("surveyRequest");
  const payload = { id: "a", source: "/c", type: "t", data: { case: "textData", value } } as const;
  client.send({ envelope: { case: "surveyResponse", value: { requestId, payload } } });
}

test("gateways that sleep are woken by a survey, and their clients by name and by pattern answer", async () => {
  const channel = freshChannel("asleep");
  const members = [
    await member("weur-7", channel),
    await member("apac-7", "asleep.*"),
    await member("enam-7", channel),
  ];
  for (const name of ["weur-7", "apac-7", "enam-7"]) {
    await evictDurableObject(exports.GatewayDurableObject.getByName(name));
  }
  const engine = requestEngine({ exports, waitUntil: () => {} }, settingsOf({}), "weur");
  const outcome = engine.survey(channel, question, { timeoutMs: 20_000 });
  for (const { client, id } of members) await answer(client, id);
  const { answers, silent, unreached } = await outcome;
  expect([silent, unreached]).toEqual([[], []]);
  expect(answers.map(({ sessionId }) => sessionId).toSorted()).toEqual(
    members.map(({ id }) => id).toSorted(),
  );
  for (const { sessionId, payload } of answers) expect(textOf(payload)).toBe(sessionId);
});

test("a gateway that is reset while its clients are asked is named at once, and the others' answers are told", async () => {
  const channel = freshChannel("reset");
  const near = await member("weur-8", channel);
  const far = await member("apac-8", channel);
  const engine = requestEngine({ exports, waitUntil: () => {} }, settingsOf({}), "weur");
  const began = Date.now();
  const outcome = engine.survey(channel, question, { timeoutMs: 20_000 });
  await far.client.next("surveyRequest");
  await abort(exports.GatewayDurableObject.getByName("apac-8"));
  await answer(near.client, "near");
  const { answers, silent, unreached } = await outcome;
  expect(answers.map(({ sessionId }) => sessionId)).toEqual([near.id]);
  expect([silent, unreached]).toEqual([[], [{ node: "apac-8", reason: "unavailable" }]]);
  expect(Date.now() - began).toBeLessThan(15_000);
});

/** Surveys that gateways have open, all together. */
async function openIn(gateways: readonly string[]): Promise<number> {
  const counts = gateways.map((name) =>
    runInDurableObject(
      exports.GatewayDurableObject.getByName(name),
      (gateway) => (gateway as unknown as { engine: Engine }).engine.stats().openSurveys,
    ),
  );
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

test("with its asker a survey ends on all gateways at once", async () => {
  const channel = freshChannel("left");
  const gateways = ["weur-9", "apac-9", "enam-9"];
  const members = await Promise.all(gateways.map((name) => member(name, channel)));
  const asker = await Client.open({ gateway: "weur-9" });
  await asker.connect({ capabilities: ["survey"], subscriptions: [{ channel }] });
  const value = { requestId: "mine", payload: question, timeoutMs: 60_000 };
  asker.send({ id: "ask", channel, envelope: { case: "surveyRequest", value } });
  for (const { client } of members) await client.next("surveyRequest");
  expect(await openIn(gateways)).toBe(3);
  const began = Date.now();
  asker.socket.close(1000);
  await eventually(async () => (await openIn(gateways)) === 0);
  expect(Date.now() - began).toBeLessThan(20_000);
});
