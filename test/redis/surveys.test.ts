/** Surveys of clients over servers on one Redis, one of which hears nothing of the others. */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { Client, textOf, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix } from "./nodes.ts";
import { redisServer } from "./servers.ts";

const ANY = { addr: "127.0.0.1:0" };
const SECRET = "sixteen letters and more";
const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

interface Place {
  readonly server: Server;
  /** A client on this server, subscribed to a channel or a pattern. */
  client(channel: string): Promise<{ readonly client: Client<WebSocket>; readonly id: string }>;
}

/** Servers on one Redis, each with its secret. */
async function places(...secrets: readonly string[]): Promise<readonly Place[]> {
  const redis = await redisServer();
  ended.push(() => redis.stop());
  const prefix = newPrefix();
  return await Promise.all(
    secrets.map((secret) =>
      place({ addr: `127.0.0.1:${redis.port}`, key_prefix: prefix, node_secret: secret }),
    ),
  );
}

async function place(redis: Readonly<Record<string, unknown>>): Promise<Place> {
  const server = createServer({
    config: parseConfig({
      broker: { type: "redis", redis },
      server: { http: ANY, drain_timeout: "1s" },
      transport: { websocket: ANY, grpc: ANY },
      channels: [{ pattern: "poll.*", survey: true }],
    }),
  });
  const { websocket } = await server.start();
  ended.push(() => server.stop());
  return {
    server,
    async client(channel) {
      const socket = new WebSocket(`ws://127.0.0.1:${websocket}/ws`, ["messageloop+json"]);
      await new Promise((resolve) => socket.once("open", resolve));
      const client = new Client<WebSocket>(socket, {
        encoding: "json",
        extended: true,
        capabilities: ["survey"],
      });
      const reply = await client.connect({ subscriptions: [{ channel }] });
      return { client, id: valueAs(reply, "connected").sessionId };
    },
  };
}

async function ask(client: Client, timeoutMs: number) {
  const began = Date.now();
  const payload = { id: "q", source: "/asker", type: "question" };
  const value = { requestId: "mine", payload, timeoutMs, othersOnly: true };
  const reply = await client.request({
    channel: "poll.a",
    envelope: { case: "surveyRequest", value },
  });
  return { ...valueAs(reply, "surveyResult"), tookMs: Date.now() - began };
}

async function answer(client: Client, value: string): Promise<void> {
  const { requestId } = await client.next("surveyRequest");
  const payload = { id: "a", source: "/c", type: "t", data: { case: "textData", value } } as const;
  client.send({ envelope: { case: "surveyResponse", value: { requestId, payload } } });
}

test("a server that cannot be asked is named with a reason, and the others' answers are told", async () => {
  const [here, there, deaf] = await places(SECRET, SECRET, "another secret than theirs");
  if (here === undefined || there === undefined || deaf === undefined) throw new Error("none");
  const asker = await here.client("poll.a");
  const [near, far] = [await here.client("poll.*"), await there.client("poll.a")];
  const unheard = await deaf.client("poll.a");
  await eventually(
    async () => (await here.server.engine.broker.cluster?.others("poll.a"))?.length === 2,
  );
  const outcome = ask(asker.client, 8_000);
  await Promise.all([answer(near.client, "near"), answer(far.client, "far")]);
  const { answers, silent, unreached, tookMs } = await outcome;
  const said = answers.map(({ sessionId, payload }) => [sessionId, textOf(payload)]);
  expect(new Map(said as [string, string][])).toEqual(
    new Map([
      [near.id, "near"],
      [far.id, "far"],
    ]),
  );
  expect(silent).toEqual([]);
  const [node = ""] = unheard.id.split(".", 1);
  expect(unreached).toMatchObject([{ node, reason: "timeout" }]);
  // It was waited for some of the time, before the others were asked.
  expect(tookMs).toBeGreaterThanOrEqual(2_400);
  expect(tookMs).toBeLessThan(7_800);
  await unheard.client.ping();
  expect(unheard.client.all("surveyRequest")).toEqual([]);
  expect(deaf.server.engine.stats().refusedMessages.unsigned).toBe(1);
});

test("a server whose client answers in time and that stops meanwhile holds nobody up for longer", async () => {
  const [here, there] = await places(SECRET, SECRET);
  if (here === undefined || there === undefined) throw new Error("none");
  const asker = await here.client("poll.a");
  const [near, far] = [await here.client("poll.a"), await there.client("poll.a")];
  await eventually(
    async () => (await here.server.engine.broker.cluster?.others("poll.a"))?.length === 1,
  );
  const outcome = ask(asker.client, 6_000);
  await far.client.next("surveyRequest");
  await answer(near.client, "near");
  await there.server.stop();
  const { answers, silent, unreached, tookMs } = await outcome;
  expect(answers.map(({ sessionId }) => sessionId)).toEqual([near.id]);
  // Whether it could still say that its client has gone depends on how it stopped.
  expect([...silent, ...unreached.map(({ node }) => node)]).toEqual([
    silent.length > 0 ? far.id : far.id.split(".", 1)[0],
  ]);
  expect(tookMs).toBeLessThan(12_000);
});
