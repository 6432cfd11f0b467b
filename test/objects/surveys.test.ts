/** Surveys over gateways: which of them are asked, and what becomes of one that does not answer. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { Engine } from "../../src/engine/engine.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { sessionlessBroker } from "../../src/objects/gateway/sessionless.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SurveyResult } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { CAPABILITIES, send } from "../engine/scene.ts";
import { Cluster, REGIONS } from "./cluster.ts";
import type { Client } from "./gateway.ts";
import { Life } from "./place.ts";

const ROOM = "poll.room";
const event = create(CloudEventSchema, { data: { case: "textData", value: "how many?" } });

function polling(settings = {}): Cluster {
  const cluster = new Cluster();
  const rules = new RuleBook([], { ...DEFAULT_CHANNEL_RULES, survey: true });
  cluster.settings = { ...DEFAULT_SETTINGS, rules, ...settings };
  return cluster;
}

/** Who calls from outside of all gateways, as the server API does. */
function outside(cluster: Cluster): Engine {
  const { platform } = cluster;
  const random = { uuid: () => crypto.randomUUID() };
  const broker = sessionlessBroker({
    calls: cluster.callsOf(new Life(platform), ""),
    isGateway: (name) => /^[a-z]$/.test(name),
    random,
    platform,
    region: REGIONS[0],
    regions: REGIONS,
    keepsDirectory: false,
  });
  return new Engine({ ...platform, broker, random, capabilities: CAPABILITIES });
}

async function subscriber(cluster: Cluster, gateway: string, name: string): Promise<Client> {
  const client = await cluster.gateway(gateway).client();
  await client.subscribe(name);
  client.told();
  return client;
}

/** A client that may ask, and is subscribed. */
async function asker(cluster: Cluster, gateway: string): Promise<Client> {
  const client = cluster.gateway(gateway).stranger();
  const value = { capabilities: ["survey"], subscriptions: [{ channel: ROOM }] };
  await client.send({ envelope: { case: "connect", value } });
  return client;
}

/** Asks the others. Resolves with the result. */
async function survey(cluster: Cluster, client: Client, timeoutMs = 0): Promise<SurveyResult> {
  const value = { requestId: "mine", payload: event, othersOnly: true, timeoutMs };
  await client.send({ id: "ask", channel: ROOM, envelope: { case: "surveyRequest", value } });
  await cluster.time.pass(0);
  const frame = client.transport.frames.at(-1);
  const { envelope } = codecFor("json").decodeOutbound(frame ?? "");
  if (envelope.case !== "surveyResult") throw new Error(`${envelope.case}`);
  return envelope.value;
}

/** Has a client answer whatever it is asked. */
function answering(client: Client): Client {
  const { transport } = client;
  const write = transport.write.bind(transport);
  transport.write = (frame) => {
    write(frame);
    const { envelope } = codecFor("json").decodeOutbound(frame.data);
    if (envelope.case !== "surveyRequest") return;
    const { requestId } = envelope.value;
    const data = { case: "textData", value: client.session.id } as const;
    const payload = { id: "a", source: "/c", type: "t", data };
    setImmediate(async () => {
      await send(client.session, {
        envelope: { case: "surveyResponse", value: { requestId, payload } },
      });
    });
  };
  return client;
}

/** Calls of a survey, in a stable order. */
function calls(cluster: Cluster): string[] {
  return cluster.calls.filter((call) => /gateways|call$/.test(call)).toSorted();
}

test("a survey asks exactly the gateways that have subscribers, by the channel's name or by a pattern", async () => {
  const cluster = polling();
  const asking = await asker(cluster, "a");
  const members = [
    await subscriber(cluster, "a", ROOM),
    await subscriber(cluster, "b", ROOM),
    await subscriber(cluster, "b", "poll.*"),
    await subscriber(cluster, "c", "**"),
    await subscriber(cluster, "z", "poll.**"),
  ].map(answering);
  await subscriber(cluster, "d", "poll.other");
  await subscriber(cluster, "e", "talk.*");
  const left = await subscriber(cluster, "f", ROOM);
  await left.unsubscribe(ROOM);
  await cluster.time.pass(1_000);
  cluster.calls.length = 0;
  const began = cluster.time.now();
  const { answers, silent, unreached } = await survey(cluster, asking, 60_000);
  expect(answers.map(({ sessionId }) => sessionId).toSorted()).toEqual(
    members.map(({ session }) => session.id).toSorted(),
  );
  expect(answers.every(({ sessionId, payload }) => payload?.data.value === sessionId)).toBe(true);
  expect([silent, unreached]).toEqual([[], []]);
  expect(cluster.time.now() - began).toBeLessThan(1_000);
  expect(calls(cluster)).toEqual(
    ["b call", "b call", "c call", "c call", `${ROOM} gateways`, "z call", "z call"].toSorted(),
  );
  expect(cluster.warnings).toEqual([]);
});

test("who is outside of all gateways asks those that have subscribers, and nobody where none has", async () => {
  const cluster = polling();
  const engine = outside(cluster);
  const members = [
    await subscriber(cluster, "b", ROOM),
    await subscriber(cluster, "c", "poll.*"),
    await subscriber(cluster, "z", ROOM),
  ];
  for (const client of members.slice(0, 2)) answering(client);
  await subscriber(cluster, "d", "talk");
  cluster.calls.length = 0;
  const outcome = await cluster.time.until(engine.survey(ROOM, event, { timeoutMs: 500 }));
  expect(outcome.answers.map(({ sessionId }) => sessionId).toSorted()).toEqual(
    members.slice(0, 2).map(({ session }) => session.id),
  );
  expect([outcome.silent, outcome.unreached]).toEqual([[members[2]?.session.id], []]);
  cluster.calls.length = 0;
  const nobody = await cluster.time.until(engine.survey("nobody", event));
  expect(nobody).toEqual({ answers: [], silent: [], unreached: [] });
  expect(calls(cluster)).toEqual(["nobody gateways"]);
});

test.each([
  ["lost", "unavailable"],
  ["unanswered", "unavailable"],
  ["hanging", "timeout"],
] as const)(
  "a gateway whose calls are %s is named, and the others are asked",
  async (fate, reason) => {
    const cluster = polling();
    const asking = await asker(cluster, "a");
    const near = answering(await subscriber(cluster, "b", ROOM));
    const far = await subscriber(cluster, "c", ROOM);
    cluster.fate = (object) => (object === "c" ? fate : "carried");
    const began = cluster.time.now();
    const { answers, silent, unreached } = await survey(cluster, asking, 4_000);
    expect(answers.map(({ sessionId }) => sessionId)).toEqual([near.session.id]);
    expect(silent).toEqual([]);
    expect(unreached).toMatchObject([{ node: "c", reason }]);
    // It was given half of the time to say whom it would ask, and was not asked.
    expect(cluster.time.now() - began).toBeLessThan(2_500);
    expect(far.told()).toEqual([]);
  },
);

test("a gateway that is lost while its clients answer is named, at the survey's end at the latest", async () => {
  const cluster = polling();
  const asking = await asker(cluster, "a");
  const near = answering(await subscriber(cluster, "b", ROOM));
  await subscriber(cluster, "c", ROOM);
  let asked = 0;
  cluster.fate = (object, method) => {
    if (object !== "c" || method !== "call") return "carried";
    asked += 1;
    return asked === 1 ? "carried" : "hanging";
  };
  const began = cluster.time.now();
  const { answers, unreached } = await survey(cluster, asking, 4_000);
  expect(answers.map(({ sessionId }) => sessionId)).toEqual([near.session.id]);
  expect(unreached).toMatchObject([{ node: "c", reason: "timeout" }]);
  expect(cluster.time.now() - began).toBeLessThan(4_300);
});

test("a channel or a pattern index that does not say who listens makes the survey UNAVAILABLE in half its time", async () => {
  for (const away of ["gateways", "lease"]) {
    const cluster = polling();
    const engine = outside(cluster);
    const member = await subscriber(cluster, "b", ROOM);
    cluster.fate = (_, method) => (method === away ? "hanging" : "carried");
    const began = cluster.time.now();
    const failed = cluster.time.until(engine.survey(ROOM, event, { timeoutMs: 2_000 }));
    await expect(failed).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(cluster.time.now() - began).toBeLessThan(1_200);
    cluster.fate = () => "carried";
    await cluster.time.pass(10_000);
    expect(member.told()).toEqual([]);
  }
});

test("with more subscribers over all gateways than a survey may ask nobody is asked", async () => {
  const cluster = polling({ surveyAudience: 3 });
  const asking = await asker(cluster, "a");
  const members = [
    await subscriber(cluster, "a", ROOM),
    await subscriber(cluster, "b", ROOM),
    await subscriber(cluster, "c", "poll.*"),
    await subscriber(cluster, "c", ROOM),
  ];
  asking.told();
  const value = { requestId: "mine", othersOnly: true };
  await asking.send({ channel: ROOM, envelope: { case: "surveyRequest", value } });
  expect(asking.told()).toEqual(["error TOO_LARGE"]);
  for (const client of members) expect(client.told()).toEqual([]);
});

test("a gateway that has lost its sockets has nobody to ask, and is no trouble", async () => {
  const cluster = polling();
  const asking = await asker(cluster, "a");
  const near = answering(await subscriber(cluster, "b", ROOM));
  await subscriber(cluster, "c", ROOM);
  cluster.gateway("c").reset();
  const { answers, silent, unreached } = await survey(cluster, asking, 4_000);
  expect(answers.map(({ sessionId }) => sessionId)).toEqual([near.session.id]);
  expect([silent, unreached]).toEqual([[], []]);
});
