/** What a Redis must be before a server starts with it, and the sentence that says what is wrong. */
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRedis } from "../../src/server/redis/client.ts";
import type { RedisAddress } from "../../src/server/redis/connections.ts";
import { eventually } from "../support/eventually.ts";
import { newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisCluster, redisServer } from "./servers.ts";

const CERTIFICATE = fileURLToPath(new URL("../fixtures/tls/cert.pem", import.meta.url));
const KEY = fileURLToPath(new URL("../fixtures/tls/key.pem", import.meta.url));

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
  const shared = { urls: [server.url], cluster: false, connectTimeoutMs: 10_000 };
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

test("a server that is lost while it is opened is an error with its cause, at whatever command", async () => {
  const outcomes: string[] = [];
  for (let command = 1; outcomes.at(-1) !== "none"; command++) {
    const proxy = await losing(server.port, command);
    outcomes.push(await problem({ urls: [`redis://127.0.0.1:${proxy.port}`] }));
    proxy.close();
  }
  // Two connections, of which the first one asks more than once.
  expect(outcomes.length).toBeGreaterThan(5);
  for (const outcome of outcomes.slice(0, -1)) {
    expect(outcome).toMatch(/^StartError: Redis at [\d.:]+ cannot be used: read ECONNRESET$/);
  }
});

test("a server that is not there is an error at once", async () => {
  const began = Date.now();
  expect(await problem({ urls: ["redis://127.0.0.1:1"] })).toMatch(
    /^StartError: Redis at 127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/,
  );
  expect(await problem({ urls: ["redis://127.0.0.1:1"], cluster: true })).toMatch(
    /^StartError: Redis at 127\.0\.0\.1:1 cannot be used: ./,
  );
  expect(Date.now() - began).toBeLessThan(9_000);
});

test("a cluster that is not told to be one, and the other way round", async () => {
  expect(await problem({ urls: [clustered.url] })).toBe(
    `StartError: Redis at 127.0.0.1:${clustered.port} is a cluster: broker.redis.cluster must be true`,
  );
  expect(await problem({ cluster: true })).toMatch(
    `StartError: Redis at 127.0.0.1:${server.port} `,
  );
});

test("a cluster that refuses the password says so as one server does", async () => {
  const closed = await redisServer({ "cluster-enabled": "yes" });
  try {
    await closed.command("CONFIG", "SET", "requirepass", "s3cret");
    const sentence = `StartError: Redis at 127.0.0.1:${closed.port} refuses the user or the password`;
    expect(await problem({ urls: [closed.url], cluster: true })).toBe(sentence);
    const password = "wr0ng";
    expect(await problem({ urls: [closed.url], cluster: true, password })).toBe(sentence);
  } finally {
    await closed.stop();
  }
});

test("a replica is no server to write to", async () => {
  const replica = await redisServer({ replicaof: `127.0.0.1 ${server.port}` });
  try {
    expect(await problem({ urls: [replica.url] })).toBe(
      `StartError: Redis at 127.0.0.1:${replica.port} is a replica: it takes no writes`,
    );
  } finally {
    await replica.stop();
  }
});

test.each(["allkeys-lru", "volatile-ttl", "allkeys-random"])(
  "a server that may forget keys is refused in one line, unless that is accepted: %s",
  async (policy) => {
    const evicting = await redisServer({ maxmemory: "100mb", "maxmemory-policy": policy });
    try {
      const address = { urls: [evicting.url], cluster: false };
      const said = await problem({ urls: [evicting.url] });
      expect(said).toContain(`its maxmemory-policy is ${policy} and must be noeviction`);
      expect(said).toContain("broker.redis.allow_eviction");
      expect(said.split("\n")).toHaveLength(1);
      (await openRedis(address, { allowEviction: true })).close();
    } finally {
      await evicting.stop();
    }
  },
);

test("any server of a cluster that may forget keys is found", async () => {
  const cluster = await redisCluster();
  try {
    expect(await problem(cluster.address)).toBe("none");
    await cluster.servers[2]?.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu");
    expect(await problem(cluster.address)).toContain("maxmemory-policy is allkeys-lfu");
  } finally {
    await cluster.stop();
  }
});

test("a managed server that forbids CONFIG is looked at all the same, and starts", async () => {
  const managed = await redisServer();
  try {
    const user = [
      "managed",
      "on",
      ">s3cret",
      "~*",
      "&*",
      "+@all",
      "-config",
      "-@dangerous",
      "+info",
    ];
    await managed.command("ACL", "SETUSER", ...user);
    const address = { urls: [managed.url], username: "managed", password: "s3cret" };
    expect(await problem(address)).toBe("none");
    await managed.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    expect(await problem(address)).toContain("maxmemory-policy is allkeys-lru");
  } finally {
    await managed.stop();
  }
});

test.each([
  ["# Server\r\nredis_version:7.2.4\r\nserver_mode:cluster\r\nrun_id:abc\r\n", "is a cluster"],
  ["# Server\r\nredis_version:7.2.4\r\nredis_mode:cluster\r\nrun_id:abc\r\n", "is a cluster"],
  [
    "# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\nrun_id:abc\r\n",
    "of version 6.2.14",
  ],
  ["# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n", "does not tell its run id"],
])("what a server says about itself is read as Redis and Valkey say it", async (info, sentence) => {
  const fake = await saying(info);
  try {
    expect(await problem({ urls: [fake.url] })).toContain(sentence);
  } finally {
    await fake.stop();
  }
});

/** A server that greets as one that speaks RESP2 or 3 does, and says this about itself. */
async function saying(info: string): Promise<{ url: string; stop(): Promise<void> }> {
  const fake = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      // One answer for each command: the client sends some of them together.
      for (const command of data
        .toString()
        .split(/^\*\d+\r\n/m)
        .slice(1)) {
        if (/^\$4\r\nINFO/i.test(command)) socket.write(`$${info.length}\r\n${info}\r\n`);
        else
          socket.write(/^\$5\r\nHELLO/i.test(command) ? "%1\r\n$5\r\nproto\r\n:3\r\n" : "+OK\r\n");
      }
    });
  });
  return { url: `redis://127.0.0.1:${await listening(fake)}`, stop: () => closed(fake) };
}

/** Everything that a node does with Redis, by one that is on its own. */
async function works(address: RedisAddress, prefix: string): Promise<void> {
  const node = await openNode({ address, prefix, secret: "sixteen letters and more" });
  const { broker } = node;
  try {
    const { position } = await broker.subscribePattern("a.*");
    await broker.subscribe("b");
    await broker.join("b", session("s", "ann"));
    await node.publish("a.b", "1");
    await node.publish("b", "1");
    await eventually(() => node.texts("a.b").length + node.texts("b").length === 2);
    expect((await broker.activeChannels("a.*", position, 9)).channels).toEqual(["a.b"]);
    expect((await broker.history("b", { limit: 9 })).entries).toHaveLength(1);
    expect((await broker.presence("b", 9)).members).toMatchObject([{ userId: "ann" }]);
    await broker.removeHistory("b");
    expect(await broker.cluster.others("room")).toEqual([]);
    broker.leave("b", "s", true);
    await eventually(() => node.lines("b").at(-1) === "leave ann");
    broker.unsubscribe("b");
    broker.unsubscribePattern("a.*");
    expect(node.warnings).toEqual([]);
  } finally {
    await node.close();
  }
}

test("a user who may no more than docs/operations.md says does for everything", async () => {
  const page = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
  const rules = /^ACL SETUSER (.*)$/m.exec(page)?.[1] ?? "";
  expect(rules).toContain("~messageloop:*");
  const prefix = newPrefix();
  const words = rules.replaceAll("messageloop:", prefix).replace("PASSWORD", "s3cret").split(" ");
  await server.command("ACL", "SETUSER", ...words);
  const user = { urls: [server.url], cluster: false, username: words[0], password: "s3cret" };
  await works(user, prefix);
  // It is of use: another deployment's names are out of reach.
  await expect(works(user, newPrefix())).rejects.toThrow(/NOPERM|permission/i);
});

test("with TLS the server's certificate is checked, against the authorities that are given", async () => {
  const [key, cert] = await Promise.all([readFile(KEY), readFile(CERTIFICATE)]);
  // Not every build of a server speaks TLS: a gate before it does so for all of them.
  const sockets = new Set<Socket>();
  const gate = createTlsServer({ key, cert }, (socket) => {
    const upstream = connect(server.port, "127.0.0.1");
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on("error", () => one.destroy());
    }
    socket.on("close", () => upstream.destroy());
    upstream.on("close", () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  const port = await listening(gate);
  try {
    const urls = [`rediss://localhost:${port}`];
    const ca = await readFile(CERTIFICATE, "utf8");
    await works({ urls, cluster: false, tls: { ca } }, newPrefix());
    expect(await problem({ urls })).toMatch(/cannot be used: .*(self-signed|certificate)/);
    // Without TLS nobody is let in by mistake.
    expect(await problem({ urls: [`redis://localhost:${port}`] })).toMatch(/cannot be used/);
  } finally {
    for (const socket of sockets) socket.destroy();
    await closed(gate);
  }
});

async function listening(gate: Server): Promise<number> {
  await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
  const address = gate.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function closed(gate: Server): Promise<void> {
  await new Promise((resolve) => gate.close(resolve));
}

/** A way to a server that is cut off when so many chunks have come from its clients. */
async function losing(port: number, chunks: number): Promise<{ port: number; close(): void }> {
  const clients = new Set<Socket>();
  let left = chunks;
  const proxy = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    clients.add(client);
    client.on("error", () => {}).on("close", () => upstream.destroy());
    upstream.on("error", () => {}).on("close", () => client.destroy());
    upstream.on("data", (data) => client.write(data));
    client.on("data", (data) => {
      left -= 1;
      if (left !== 0) upstream.write(data);
      else for (const socket of clients) socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    proxy.close();
    for (const client of clients) client.destroy();
  };
  return { port: (proxy.address() as AddressInfo).port, close };
}
