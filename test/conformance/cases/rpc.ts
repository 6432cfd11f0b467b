/** RPC: what a backend may do, and that none of it holds up anything else. */
import assert from "node:assert/strict";
import { kindOf, textOf, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { SECRET } from "../backend.ts";
import { type Case, EXTENDED, ONE } from "../case.ts";
import { TIGHT } from "../variants.ts";

/** Milliseconds until an answer that comes in time, and long after all that is asked meanwhile. */
const SLOW = `${TIGHT.rpcTimeoutMs / 2}`;

/** What the log calls a failure by. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const rpcCases: readonly Case[] = [
  {
    rules: ["R1"],
    title: "without a backend the event comes back",
    async run(context) {
      const client = await context.client();
      const reply = valueAs(await client.rpc("any", "hello"), "rpcReply");
      assert.equal(textOf(reply), "hello");
      assert.equal(reply.source, "/test");
      assert.equal(reply.data.case, context.kind.extended ? "textData" : "binaryData");
    },
  },
  {
    rules: ["R2", "A5"],
    title: "answers, empty answers, stated errors, failures and garbage",
    server: "backend",
    async run(context) {
      const client = await context.client();
      assert.equal(textOf(valueAs(await client.rpc("echo", "hi"), "rpcReply")), "hi");
      const empty = valueAs(await client.rpc("empty"), "rpcReply");
      assert.equal(empty.id, "");
      assert.equal(textOf(empty), "");
      const refused = valueAs(await client.rpc("refuse"), "error");
      assert.deepEqual(
        [refused.code, refused.type, refused.message, refused.metadata],
        ["NO_STOCK", "shop_error", "sold out", { left: 0 }],
      );
      for (const method of ["fail", "garbage"]) {
        const failed = valueAs(await client.rpc(method), "error");
        assert.deepEqual([failed.code, failed.type], ["PROXY_ERROR", "proxy_error"]);
        assert.ok(!JSON.stringify(failed.message).includes(SECRET));
        assert.match(`${failed.metadata?.["correlation_id"]}`, UUID);
      }
      assert.ok(client.frames.every((frame) => !Buffer.from(frame).includes(SECRET)));
    },
  },
  {
    rules: ["R4", "S9"],
    title: "a slow RPC delays neither ping nor publish nor another RPC of its session",
    server: "backend",
    async run(context) {
      const channel = context.channel();
      const client = await context.subscriber(channel);
      // It ends with its client.
      client.rpc("hang").catch(() => {});
      const slow = client.rpc("slow", "300");
      await client.ping();
      await client.publish(channel, "meanwhile");
      await client.received(1);
      assert.equal(textOf(valueAs(await client.rpc("echo", "fast"), "rpcReply")), "fast");
      await client.subscribe(context.channel());
      assert.equal(kindOf(await slow), "rpcReply");
    },
  },
  {
    rules: ["R3"],
    title: "an RPC that is not answered in time is RPC_TIMEOUT",
    server: "tight",
    async run(context) {
      const client = await context.client();
      const began = Date.now();
      const { code, type } = valueAs(await client.rpc("hang"), "error");
      assert.deepEqual([code, type], ["RPC_TIMEOUT", "timeout"]);
      assert.ok(Date.now() - began >= TIGHT.rpcTimeoutMs - 50);
    },
  },
  {
    rules: ["R5", "L3"],
    title: "one RPC more than may be in flight is RATE_LIMITED; answered ones make room",
    server: "tight",
    kinds: EXTENDED,
    async run(context) {
      const client = await context.client();
      const open = Array.from({ length: TIGHT.rpcsInFlight }, () => client.rpc("slow", SLOW));
      const { code, metadata } = valueAs(await client.rpc("echo"), "error");
      assert.equal(code, "RATE_LIMITED");
      assert.ok(Number(metadata?.["retry_after_ms"]) > 0);
      for (const reply of await Promise.all(open)) assert.equal(kindOf(reply), "rpcReply");
      assert.equal(kindOf(await client.rpc("echo")), "rpcReply");
    },
  },
  {
    rules: ["R6", "S8"],
    title: "when the client goes its backend calls are cancelled",
    server: "backend",
    kinds: ONE,
    async run(context) {
      // The suite's backend counts in the process of the node.
      context.together();
      const watcher = await context.client();
      const count = async () => Number(textOf(valueAs(await watcher.rpc("cancelled"), "rpcReply")));
      const hanging = async () => Number(textOf(valueAs(await watcher.rpc("hanging"), "rpcReply")));
      const [before, begun] = [await count(), await hanging()];
      const client = await context.client();
      // They end with their client.
      for (let i = 0; i < 3; i++) client.rpc("hang").catch(() => {});
      await eventually(hanging, (calls) => calls === begun + 3);
      client.socket.terminate();
      await eventually(count, (cancelled) => cancelled === before + 3);
    },
  },
  {
    rules: ["R7", "A1"],
    title: "the backend learns who asks: the session, and the user that was authenticated",
    server: "auth",
    async run(context) {
      const client = await context.open();
      const reply = await client.connect({
        token: "user:ada",
        clientId: "her phone",
        clientType: "app",
      });
      const { sessionId } = valueAs(reply, "connected");
      const value = { id: "e", source: "/s", type: "t" };
      const told = await client.request({
        channel: "x",
        method: "whoami",
        metadata: { trace: "1" },
        envelope: { case: "rpcRequest", value },
      });
      assert.deepEqual(JSON.parse(textOf(valueAs(told, "rpcReply"))), {
        sessionId,
        clientId: "her phone",
        clientType: "app",
        userId: "ada",
        metadata: { trace: "1" },
      });
    },
  },
];
