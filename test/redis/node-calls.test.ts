/** Nodes call each other through Redis: whose messages are obeyed, and what becomes of the others. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient } from "redis";
import { afterEach, expect, test } from "vitest";
import { errorMessage, MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type NodeCall,
  NodeCallSchema,
  NodeMessageSchema,
  SignedNodeMessageSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { HmacSigner } from "../../src/server/redis/signer.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { type Node, type NodeOptions, newPrefix, openNode } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const SECRET = "sixteen letters and more";
/** After three of these a node is lost: long enough that a busy machine makes none so. */
const BEAT_MS = 500;
/** How long a call that is answered may take. */
const PATIENCE_MS = 10_000;
const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function redis(): Promise<RedisServer> {
  const server = await redisServer();
  ended.push(() => server.stop());
  return server;
}

/** Nodes that share a Redis, and what each was asked. */
async function nodes(server: RedisServer, ...options: readonly Partial<NodeOptions>[]) {
  const prefix = newPrefix();
  const address = { urls: [server.url], cluster: false };
  return await Promise.all(
    options.map(async (own) => {
      const node = await openNode({ address, prefix, secret: SECRET, beatMs: BEAT_MS, ...own });
      ended.push(() => node.close());
      const asked: NodeCall["call"][] = [];
      node.broker.cluster.start(async ({ call }) => {
        asked.push(call);
        return { case: "disconnected", value: true };
      });
      return { node, asked, prefix, name: node.broker.cluster.node, cluster: node.broker.cluster };
    }),
  );
}

function disconnect(sessionId: string): NodeCall {
  return create(NodeCallSchema, { call: { case: "disconnect", value: { sessionId, code: 3503 } } });
}

/** Every message to a node from now on, as it went through Redis. */
async function tapped(server: RedisServer, topic: string): Promise<Uint8Array[]> {
  const client = createClient({ url: server.url });
  await client.connect();
  ended.push(async () => client.destroy());
  const heard: Uint8Array[] = [];
  await client.subscribe(topic, (payload: Buffer) => heard.push(payload), true);
  return heard;
}

async function publish(server: RedisServer, topic: string, payload: Uint8Array): Promise<void> {
  const client = createClient({ url: server.url });
  await client.connect();
  await client.publish(topic, Buffer.from(payload));
  client.destroy();
}

test("a node is called by its name, and who is not there is told apart from who does not answer", async () => {
  const [one, two] = await nodes(await redis(), {}, {});
  await eventually(async () => (await one?.cluster.others("room"))?.length === 1);
  expect(await one?.cluster.others("room")).toEqual([two?.name]);
  const answer = await one?.cluster.call(two?.name ?? "", disconnect("s"), PATIENCE_MS);
  expect(answer).toEqual({ case: "disconnected", value: true });
  expect(two?.asked).toMatchObject([{ case: "disconnect", value: { sessionId: "s", code: 3503 } }]);
  expect(await one?.cluster.call("nobody", disconnect("s"), PATIENCE_MS)).toBeUndefined();
  two?.node.crash();
  // It is missed only after some beats: until then nobody knows.
  await expect(one?.cluster.call(two?.name ?? "", disconnect("s"), 200)).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  await eventually(async () => (await one?.cluster.others("room"))?.length === 0);
  expect(await one?.cluster.call(two?.name ?? "", disconnect("s"), 200)).toBeUndefined();
});

test("what is replayed, changed, signed by others or meant for others is refused and counted", async () => {
  const server = await redis();
  const [one, two, stranger] = await nodes(server, {}, {}, { secret: "another secret entirely" });
  const topic = `${two?.prefix}node:${two?.name}`;
  const heard = await tapped(server, topic);
  await eventually(
    async () => (await one?.cluster.others("room"))?.includes(two?.name ?? "") === true,
  );
  await one?.cluster.call(two?.name ?? "", disconnect("first"), PATIENCE_MS);
  await one?.cluster.call(two?.name ?? "", disconnect("second"), PATIENCE_MS);
  const [first, second] = heard as [Uint8Array, Uint8Array];
  const { message, signature } = fromBinary(SignedNodeMessageSchema, second);
  const forged = (
    change: { sender?: string; receiver?: string; sequence?: bigint },
    key?: string,
  ): Uint8Array => {
    const changed = toBinary(
      NodeMessageSchema,
      create(NodeMessageSchema, { ...fromBinary(NodeMessageSchema, message), ...change }),
    );
    const signed = key === undefined ? signature : new HmacSigner(key).sign(changed);
    return toBinary(
      SignedNodeMessageSchema,
      create(SignedNodeMessageSchema, { message: changed, signature: signed }),
    );
  };
  const { refused } = two?.node.broker.cluster ?? {};
  const tries: [Uint8Array, "unsigned" | "misdirected" | "replayed"][] = [
    [first, "replayed"],
    [second, "replayed"],
    // Signed by one who knows the secret, for another node, or in another life of it.
    [forged({ receiver: one?.name ?? "", sequence: 99n }, SECRET), "misdirected"],
    [forged({ sequence: 99n }), "unsigned"],
    [forged({ sender: "another" }), "unsigned"],
    [forged({ sequence: 99n }, "another secret entirely"), "unsigned"],
    [forged({ sequence: 99n }, ""), "unsigned"],
    [toBinary(SignedNodeMessageSchema, create(SignedNodeMessageSchema, { message })), "unsigned"],
    [message, "unsigned"],
    [new Uint8Array(), "unsigned"],
    [new TextEncoder().encode("not a message"), "unsigned"],
  ];
  const expected = { unsigned: 0, misdirected: 0, replayed: 0 };
  for (const [payload, reason] of tries) {
    await publish(server, topic, payload);
    expected[reason] += 1;
    await eventually(
      () => refused,
      (seen) => seen?.[reason] === expected[reason],
    );
  }
  // A node with another secret is heard of, and neither obeyed nor answered.
  await expect(
    stranger?.cluster.call(two?.name ?? "", disconnect("third"), 300),
  ).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(refused).toEqual({ ...expected, unsigned: expected.unsigned + 1 });
  expect(two?.asked.map(({ value }) => (value as { sessionId: string }).sessionId)).toEqual([
    "first",
    "second",
  ]);
  // The sequences that were not obeyed count for nothing.
  expect(await one?.cluster.call(two?.name ?? "", disconnect("fourth"), PATIENCE_MS)).toBeDefined();
});

test("an error comes as it was, a failure without its text, and a large answer in pieces", async () => {
  const [one, two] = await nodes(await redis(), {}, {});
  await eventually(async () => (await one?.cluster.others("room"))?.length === 1);
  const answers = [
    () => Promise.reject(new Error("stack of 10.1.2.3")),
    async () => ({
      case: "survey" as const,
      value: {
        $typeName: "messageloop.internal.v1.SurveyOutcome" as const,
        silent: [],
        answers: Array.from({ length: 40 }, (_, i) => ({
          $typeName: "messageloop.internal.v1.SurveyAnswer" as const,
          sessionId: `${i}`,
          userId: "",
          clientId: "",
          payload: create(CloudEventSchema, {
            data: { case: "binaryData", value: new Uint8Array(65_536).fill(i) },
          }),
        })),
      },
    }),
  ];
  two?.cluster.start(() => (answers.shift() ?? (() => Promise.reject(new Error())))());
  const failed = await one?.cluster.call(two?.name ?? "", disconnect("s"), PATIENCE_MS);
  expect(failed).toMatchObject({ case: "error", value: { code: "INTERNAL_ERROR" } });
  expect(JSON.stringify(failed)).not.toContain("10.1.2.3");
  const large = await one?.cluster.call(two?.name ?? "", disconnect("s"), PATIENCE_MS);
  if (large?.case !== "survey") throw new Error(`${large?.case}`);
  const sums = large.value.answers.map(({ payload }) =>
    payload?.data.case === "binaryData" ? [payload.data.value.length, payload.data.value[9]] : [],
  );
  expect(sums).toEqual(Array.from({ length: 40 }, (_, i) => [65_536, i]));
});

test("an answer of which a piece is lost is no answer", async () => {
  let pieces = 0;
  const server = await redis();
  const [one, two] = await nodes(
    server,
    {},
    {
      wrap: (commands) => ({
        run: (script, keys, args) => commands.run(script, keys, args),
        command: async (key, args) => {
          if (args[0] === "PUBLISH") pieces += 1;
          return pieces === 2 ? 1 : await commands.command(key, args);
        },
      }),
    },
  );
  await eventually(async () => (await one?.cluster.others("room"))?.length === 1);
  two?.cluster.start(async () => ({
    case: "error",
    value: errorMessage(new MessagingError("BAD_REQUEST", "x".repeat(600_000))),
  }));
  const call = one?.cluster.call(two?.name ?? "", disconnect("s"), 1_000);
  await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(pieces).toBe(3);
});

test("without a secret nobody is called, and nobody obeyed", async () => {
  const [one, two] = await nodes(await redis(), { secret: undefined as never }, {});
  await eventually(async () => (await two?.cluster.others("room"))?.length === 1);
  for (const [from, to] of [
    [one, two],
    [two, one],
  ]) {
    const call = from?.cluster.call(to?.name ?? "", disconnect("s"), 300);
    await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(to?.asked).toEqual([]);
  }
  expect(one?.node.warnings.join()).toContain("secret");
  expect(two?.node.warnings).toEqual([]);
});

test("while Redis may not know all nodes nobody is told that a node is not there", async () => {
  const server = await redis();
  const [one, two] = await nodes(server, {}, {});
  const names = async (node: Node | undefined) => await node?.broker.cluster.others("room");
  await eventually(async () => (await names(one?.node))?.length === 1);
  await server.command("FLUSHALL");
  const began = Date.now();
  let refusals = 0;
  while (Date.now() - began < 3_000) {
    const known = await names(one?.node).catch((error: unknown) => {
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
      refusals += 1;
      return undefined;
    });
    if (known !== undefined) expect(known).toEqual([two?.name]);
    await sleep(5);
  }
  expect(refusals).toBeGreaterThan(0);
  expect(await names(one?.node)).toEqual([two?.name]);
});

test("a Redis that has come back with an older list is not believed", async () => {
  const server = await redis();
  const [one] = await nodes(server, {});
  const prefix = one?.prefix ?? "";
  await server.command("SAVE");
  const later = await openNode({
    ...{ address: { urls: [server.url], cluster: false }, secret: SECRET, beatMs: BEAT_MS },
    prefix,
  });
  ended.push(() => later.close());
  await eventually(async () => (await one?.cluster.others("room"))?.length === 1);
  await server.kill();
  await server.start();
  const known = await eventually(() =>
    one?.cluster.others("room").catch((error: unknown) => {
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
      return undefined;
    }),
  );
  expect(known).toEqual([later.broker.cluster.node]);
});
