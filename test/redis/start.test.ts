/** What a Redis must be before a server starts with it, and the sentence that says what is wrong. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRedis } from "../../src/server/redis-client.ts";
import type { RedisAddress } from "../../src/server/redis-connections.ts";
import { type RedisServer, redisServer } from "./servers.ts";

let server: RedisServer;
let locked: RedisServer;
let clustered: RedisServer;

beforeAll(async () => {
  [server, locked, clustered] = await Promise.all([
    redisServer(),
    redisServer(),
    redisServer({ "cluster-enabled": "yes" }),
  ]);
  await locked.command("CONFIG", "SET", "requirepass", "s3cret");
});

afterAll(async () => {
  await Promise.all([server, locked, clustered].map((one) => one?.stop()));
});

async function problem(address: Partial<RedisAddress>): Promise<string> {
  const shared = { urls: [server.url], cluster: false, connectTimeoutMs: 1_000 };
  return await openRedis({ ...shared, ...address }).then(
    (opened) => {
      opened.close();
      return "none";
    },
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

test("a server that is there is opened, with a password where it has one", async () => {
  expect(await problem({})).toBe("none");
  expect(await problem({ urls: [`${server.url}/0`] })).toBe("none");
  expect(await problem({ urls: [locked.url], password: "s3cret" })).toBe("none");
  const { port } = locked;
  expect(await problem({ urls: [`redis://:s3cret@127.0.0.1:${port}`] })).toBe("none");
});

test("a wrong password or none is said, and the password is not", async () => {
  const sentence = `StartError: Redis at 127.0.0.1:${locked.port} refuses the user or the password`;
  expect(await problem({ urls: [locked.url] })).toBe(sentence);
  expect(await problem({ urls: [locked.url], password: "wr0ng" })).toBe(sentence);
  const url = `redis://someone:wr0ng@127.0.0.1:${locked.port}`;
  expect(await problem({ urls: [url] })).toBe(sentence);
});

test("a server that is not there is an error at once", async () => {
  const began = Date.now();
  expect(await problem({ urls: ["redis://127.0.0.1:1"] })).toMatch(
    /^StartError: Redis at 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/,
  );
  expect(await problem({ urls: ["redis://127.0.0.1:1"], cluster: true })).toMatch(
    /^StartError: Redis at 127\.0\.0\.1:1 cannot be used: ./,
  );
  expect(Date.now() - began).toBeLessThan(5_000);
});

test("a cluster that is not told to be one, and the other way round", async () => {
  expect(await problem({ urls: [clustered.url] })).toBe(
    `StartError: Redis at 127.0.0.1:${clustered.port} is a cluster: broker.redis.cluster must be true`,
  );
  expect(await problem({ cluster: true })).toMatch(
    `StartError: Redis at 127.0.0.1:${server.port} `,
  );
});
