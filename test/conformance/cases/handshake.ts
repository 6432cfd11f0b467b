/** The way in: upgrades, subprotocols, the heartbeat, sizes and the close handshake. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { type Case, type Context, ONE } from "../case.ts";

const UPGRADE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** Status and version header of a handshake that a WebSocket client would not make. */
async function shake(
  { server }: Context,
  headers: Readonly<Record<string, string>>,
  method = "GET",
): Promise<{ status: number; version: string | undefined }> {
  const url = new URL(server.url.replace("ws", "http"));
  return await new Promise((resolve, reject) => {
    const call = request(url, { method, headers }, (response) => {
      const version = response.headers["sec-websocket-version"];
      resolve({ status: response.statusCode ?? 0, version });
      response.destroy();
    });
    call.on("upgrade", (_, socket) => {
      socket.destroy();
      resolve({ status: 101, version: undefined });
    });
    call.on("error", reject);
    call.end();
  });
}

export const handshakeCases: readonly Case[] = [
  {
    rules: ["T3"],
    over: "websocket",
    title: "what is no upgrade is 400, another method 405, a foreign origin 403",
    kinds: ONE,
    async run(context) {
      const { host } = new URL(context.server.url.replace("ws", "http"));
      const version = "13";
      const wrong = { ...UPGRADE, "Sec-WebSocket-Version": "8" };
      const foreign = { ...UPGRADE, Origin: "https://elsewhere.example" };
      assert.deepEqual(await shake(context, {}), { status: 400, version });
      // A platform in front may name the version it wants by 426, as RFC 6455 says.
      assert.ok([400, 426].includes((await shake(context, wrong)).status));
      assert.deepEqual(await shake(context, {}, "POST"), { status: 405, version });
      assert.deepEqual(await shake(context, foreign), { status: 403, version });
      const own = { ...UPGRADE, Origin: `http://${host}` };
      assert.equal((await shake(context, own)).status, 101);
    },
  },
  {
    rules: ["T5"],
    over: "websocket",
    title: "the text frame ping is answered by pong, before and after connect",
    async run(context) {
      const client = await context.open();
      client.sendRaw("ping");
      await client.until(() => client.frames.length === 1 || undefined);
      await client.connect();
      client.sendRaw("ping");
      await client.until(() => client.frames.length === 3 || undefined);
      assert.deepEqual([client.frames[0], client.frames[2]], ["pong", "pong"]);
    },
  },
  {
    rules: ["T4"],
    title: "text frames are JSON on every connection; the answer has the connection's encoding",
    async run(context) {
      const client = await context.client();
      client.sendRaw(JSON.stringify({ id: "text", ping: {} }));
      await client.until(() => client.replies.find(({ id }) => id === "text"));
      const { encoding } = context.kind;
      if (encoding === "json") {
        client.sendRaw(new TextEncoder().encode(JSON.stringify({ id: "binary", ping: {} })));
        await client.until(() => client.replies.find(({ id }) => id === "binary"));
      }
      const form = encoding === "json" ? "string" : "object";
      assert.ok(client.frames.every((frame) => typeof frame === form));
    },
  },
  {
    rules: ["T6"],
    over: "websocket",
    title: "a frame of max_message_bytes passes, one byte more closes with 1009",
    async run(context) {
      const client = await context.client();
      const frame = (size: number): string => {
        const empty = JSON.stringify({ id: "big", ping: {}, pad: "" });
        return JSON.stringify({ id: "big", ping: {}, pad: "x".repeat(size - empty.length) });
      };
      client.sendRaw(frame(65_536));
      await client.until(() => client.replies.find(({ id }) => id === "big"));
      client.sendRaw(frame(65_537));
      assert.equal((await client.closed()).code, 1009);
      const other = await context.client();
      other.sendRaw("x".repeat(4 * 1024 * 1024));
      assert.equal((await other.closed()).code, 1009);
      await context.client();
    },
  },
  {
    rules: ["T7"],
    over: "websocket",
    title: "a client's close is answered at once with its own code",
    async run(context) {
      const client = await context.client();
      const began = Date.now();
      client.socket.close(4001, "bye");
      assert.deepEqual(await client.closed(), { code: 4001, reason: "bye" });
      // The libraries give up after ten seconds and more.
      assert.ok(Date.now() - began < 8_000);
      const plain = await context.client();
      plain.socket.close();
      assert.equal((await plain.closed()).code, 1005);
    },
  },
];
