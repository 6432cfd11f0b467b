/** A server with threads on Redis: each of them is a node. */
import { afterEach, expect, test } from "vitest";
import { open, startThreads, type ThreadsProcess } from "../server/threads-process.ts";
import { freshChannel, texts } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

let redis: RedisServer | undefined;
let server: ThreadsProcess | undefined;
afterEach(async () => {
  server?.terminate();
  await server?.ended;
  await redis?.stop();
});

test("clients of all threads hear each other, and a log outlives the thread that it was published on", async () => {
  redis = await redisServer();
  const broker = { type: "redis", redis: { url: redis.url, key_prefix: newPrefix() } };
  server = await startThreads(2, { broker });
  const { own, kill, ready } = server;
  const [one = "", two = ""] = own;
  const kind = { encoding: "json", extended: true, capabilities: ["recovery"] } as const;
  const channel = freshChannel();
  const [victim, other] = [await open(two, kind), await open(one, kind)];
  for (const client of [victim, other]) await client.subscribe(channel);
  expect(await victim.publish(channel, "1")).toBe(1);
  expect(await other.publish(channel, "2")).toBe(2);
  for (const client of [victim, other]) expect(texts(await client.received(2))).toEqual(["1", "2"]);
  await kill(1);
  await victim.closed();
  expect(await other.publish(channel, "3")).toBe(3);
  await eventually(ready);
  const back = await open(two, kind);
  const { epoch, offset } = victim.messages.at(-1) ?? {};
  await back.subscribe({
    channel,
    recover: true,
    since: { epoch: epoch ?? "", offset: offset ?? 0n },
  });
  expect(texts(await back.received(1))).toEqual(["3"]);
  expect(await back.publish(channel, "4")).toBe(4);
  expect(texts(await other.received(4))).toEqual(["1", "2", "3", "4"]);
  expect(other.all("gap")).toEqual([]);
});
