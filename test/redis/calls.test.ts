/** What the server's side does to sessions reaches them on whichever of two servers they are. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Engine } from "../../src/engine/engine.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { Client, kindOf, textOf, texts, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { OpenSocket } from "../support/open-socket.ts";
import { newPrefix } from "./nodes.ts";
import { redisServer } from "./servers.ts";

const ANY = { addr: "127.0.0.1:0" };
const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

interface Place {
  readonly engine: Engine;
  /** Where Open and Send are. */
  readonly url: string;
  client(channel: string): Promise<{ client: Client<WebSocket>; id: string }>;
}

/** Two servers on one Redis. */
async function places(): Promise<readonly [Place, Place]> {
  const redis = await redisServer();
  ended.push(() => redis.stop());
  const settings = {
    addr: `127.0.0.1:${redis.port}`,
    key_prefix: newPrefix(),
    node_secret: "sixteen letters and more",
  };
  const opened = await Promise.all([0, 1].map(() => place(settings)));
  const [one, two] = opened as [Place, Place];
  return [one, two];
}

async function place(redis: Readonly<Record<string, unknown>>): Promise<Place> {
  const server = createServer({
    config: parseConfig({
      broker: { type: "redis", redis },
      server: { http: ANY, drain_timeout: "1s" },
      transport: { websocket: ANY, grpc: ANY },
    }),
  });
  const { websocket } = await server.start();
  ended.push(() => server.stop());
  return {
    engine: server.engine,
    url: `http://127.0.0.1:${websocket}`,
    async client(channel) {
      const socket = new WebSocket(`ws://127.0.0.1:${websocket}/ws`, ["messageloop+json"]);
      await new Promise((resolve) => socket.once("open", resolve));
      const client = new Client<WebSocket>(socket, { encoding: "json", extended: false });
      const reply = await client.connect({ subscriptions: [{ channel }] });
      return { client, id: valueAs(reply, "connected").sessionId };
    },
  };
}

test("a session of the other server is disconnected, subscribed and unsubscribed by its id", async () => {
  const [here, there] = await places();
  const { client, id } = await there.client("a");
  expect(await here.engine.subscribe(id, ["b", "no..channel"])).toMatchObject({
    results: { b: true, "no..channel": false },
    errors: { "no..channel": { code: "BAD_REQUEST" } },
  });
  await here.engine.publish("b", create(CloudEventSchema, { id: "1", source: "/s", type: "t" }));
  await client.received(1);
  expect(await here.engine.unsubscribe(id, ["a", "b"])).toEqual({ a: true, b: true });
  expect(there.engine.stats().subscriptions).toBe(0);
  await expect(here.engine.disconnect(id, 99)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  expect(await here.engine.disconnect(id, 4001, "moved")).toBe(true);
  expect(await client.closed()).toEqual({ code: 4001, reason: "moved" });
  await eventually(async () => !(await here.engine.disconnect(id, 4001)));
  expect(await here.engine.subscribe(id, ["b"])).toEqual({ results: { b: false }, errors: {} });
  for (const unknown of ["", "nobody", ".", `${"x".repeat(12)}.${id}`, `${id}x`]) {
    expect(await here.engine.disconnect(unknown, 3503)).toBe(false);
  }
});

test("a survey asks the subscribers of both servers and ends when all have answered", async () => {
  const [here, there] = await places();
  const near = await here.client("poll");
  const far = await there.client("poll");
  const silent = await there.client("poll");
  const question = create(CloudEventSchema, { data: { case: "textData", value: "how many?" } });
  const ask = (timeoutMs: number) => here.engine.survey("poll", question, { timeoutMs });
  const answer = async ({ client }: typeof near, text: string, survey = 0): Promise<void> => {
    const request = await client.until(
      () => client.replies.filter(({ envelope }) => envelope.case === "surveyRequest")[survey],
    );
    const { requestId } = valueAs(request, "surveyRequest");
    const payload = { id: "a", source: "/c", type: "t", data: { case: "textData", value: text } };
    client.send({
      envelope: { case: "surveyResponse", value: { requestId, payload } },
    } as Parameters<typeof client.send>[0]);
  };
  const began = Date.now();
  const first = ask(2_500);
  await Promise.all([answer(near, "near"), answer(far, "far")]);
  const told = await first;
  expect(Date.now() - began).toBeGreaterThan(2_000);
  expect(told.answers.map(({ payload }) => textOf(payload)).sort()).toEqual(["far", "near"]);
  expect(told).toMatchObject({ silent: [silent.id], unreached: [] });
  const again = Date.now();
  const second = ask(20_000);
  await Promise.all([near, far, silent].map((one) => answer(one, "again", 1)));
  expect(await second).toMatchObject({ silent: [], unreached: [] });
  expect((await second).answers).toHaveLength(3);
  expect(Date.now() - again).toBeLessThan(10_000);
  expect(kindOf(await near.client.ping())).toBe("pong");
});

test.each(["json", "proto"] as const)(
  "what is sent at the other server of a stream is taken there, in its order, once: %s",
  async (encoding) => {
    const [here, there] = await places();
    const socket = new OpenSocket(there.url, { encoding, sendTo: [here.url, there.url] });
    ended.push(async () => socket.terminate());
    const client = new Client(socket, { encoding, extended: true });
    await client.connect({ subscriptions: [{ channel: "room" }] });
    const wanted = Array.from({ length: 20 }, (_, index) => `${index}`);
    await Promise.all(wanted.map((text) => client.publish("room", text)));
    // An acknowledgement and what it acknowledges come over two connections of the server to Redis.
    expect(texts(await client.received(wanted.length))).toEqual(wanted);

    const { sessionId = "", secret = "" } = socket.opened ?? {};
    const frame = JSON.stringify({ id: "far", ping: {} });
    const call = { sessionId, secret, seq: 21n, frames: [frame], encoding: "json" as const };
    expect(await here.engine.send({ ...call, secret: `${secret}x` })).toBeUndefined();
    await expect(here.engine.send({ ...call, seq: 0n })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      message: "seq counts from 1",
    });
    expect(await here.engine.send({ ...call, seq: 22n })).toBe(20);
    expect(await here.engine.send({ ...call, frames: [frame, frame] })).toBe(22);
    await eventually(
      async () => client.replies.filter(({ id }) => id === "far").length,
      (pongs) => pongs === 2,
    );
    socket.terminate();
    await eventually(async () => (await here.engine.send(call)) === undefined);
  },
);
