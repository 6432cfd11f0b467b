/** The server ends a session. */
import assert from "node:assert/strict";
import { type Client, type Inbound, kindOf } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, EXTENDED, ONE } from "../case.ts";
import { TIGHT } from "../variants.ts";

function ask(client: Client, code: number, reason?: string): void {
  const value = { data: { case: "textData", value: JSON.stringify({ code, reason }) } } as const;
  client.send({ channel: "x", method: "disconnect", envelope: { case: "rpcRequest", value } });
}

export const closingCases: readonly Case[] = [
  {
    rules: ["S11", "T7", "E1"],
    title: "the application ends a session with any code of the table or its own",
    server: "backend",
    async run(context) {
      const endings = [
        [3500, "invalid token"],
        [3503, "force disconnect"],
        [3507, "permission denied"],
        [3508, "not available"],
      ] as const;
      for (const [code, reason] of endings) {
        const client = await context.client();
        ask(client, code);
        assert.deepEqual(await client.closed(), { code, reason });
      }
      const own = await context.client();
      ask(own, 4242, "moved");
      assert.deepEqual(await own.closed(), { code: 4242, reason: "moved" });
      const wrong = await context.client();
      assert.equal(kindOf(await wrong.rpc("disconnect", '{"code":12}')), "error BAD_REQUEST");
    },
  },
  {
    rules: ["T7"],
    over: "websocket",
    title: "a reason is cut to 123 bytes between characters",
    server: "backend",
    kinds: ONE,
    async run(context) {
      const client = await context.client();
      ask(client, 4000, `x${"\u00e4".repeat(100)}`);
      assert.deepEqual(await client.closed(), { code: 4000, reason: `x${"\u00e4".repeat(61)}` });
      const smile = "\u{1f600}";
      const other = await context.client();
      ask(other, 4000, smile.repeat(40));
      assert.deepEqual(await other.closed(), { code: 4000, reason: smile.repeat(30) });
    },
  },
  {
    rules: ["S12", "E2"],
    title: "a client with control is told why, and whether to come back",
    server: "backend",
    kinds: EXTENDED,
    async run(context) {
      for (const [code, reconnect] of [
        [3503, false],
        [3510, true],
        [4000, true],
        [4500, false],
      ] as const) {
        const client = await context.client({ capabilities: ["control"] });
        ask(client, code, "because");
        const told = await client.next("disconnect");
        assert.deepEqual(
          [told.code, told.reason, told.reconnect, told.retryAfterMs],
          [code, "because", reconnect, 0],
        );
        assert.deepEqual(await client.closed(), { code, reason: "because" });
      }
      const without = await context.client();
      ask(without, 3503);
      await without.closed();
      assert.ok(without.replies.every(({ envelope }) => envelope.case !== "disconnect"));
    },
  },
  {
    rules: ["S13"],
    title: "a message kind that is switched off closes with 3508",
    server: "tight",
    async run(context) {
      const off: NonNullable<Inbound["envelope"]>[] = [
        { case: "subRefresh", value: { channels: ["a"] } },
        { case: "historyRequest", value: { channel: "a", limit: 0 } },
      ];
      for (const envelope of off) {
        const client = await context.client();
        client.send({ envelope });
        assert.deepEqual(await client.closed(), { code: 3508, reason: "not available" });
      }
    },
  },
  {
    rules: ["T8"],
    title: "a server that is full closes with 3504, keeps those it has, and takes more later",
    server: "full",
    kinds: ONE,
    async run(context) {
      // Where connections spread over nodes there is an end to these, too.
      const open = [];
      let refused: Client | undefined;
      for (let i = 0; refused === undefined; i++) {
        assert.ok(i < 64 * TIGHT.connections, "never full");
        const client = await context.open();
        const reply = await client.connect().catch(() => undefined);
        if (reply === undefined) refused = client;
        else open.push(client);
      }
      assert.deepEqual(await refused.closed(), { code: 3504, reason: "connection limit" });
      for (const client of open) assert.equal(client.close, undefined);
      for (const { socket } of open) socket.close();
      await Promise.all(open.map((client) => client.closed()));
      // Of the end of a stream a host may hear by its next heartbeat only.
      await eventually(() =>
        context.client().then(
          () => true,
          () => false,
        ),
      );
    },
  },
];
