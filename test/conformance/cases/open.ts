/** Open and Send themselves: what opens a session, who may send, in which order, and how it ends. */
import assert from "node:assert/strict";
import { MAX_HELD_MESSAGES, MAX_SEND_MESSAGES } from "../../../src/protocol/limits.ts";
import { type Client, type Inbound, kindOf, texts, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import type { OpenSocket } from "../../support/open-socket.ts";
import { type Case, type Context, EXTENDED, ONE } from "../case.ts";
import { SHORT } from "../variants.ts";

const SERVICE = "/messageloop.v1.MessagingService";
const OPEN = { over: "open" } as const;

/** A connected client, as a client of Open and Send. */
async function opened(
  context: Context,
  connect: Parameters<Client["connect"]>[0] = {},
): Promise<Client<OpenSocket>> {
  const client = context.stream();
  assert.equal(kindOf(await client.connect(connect)), "connected");
  return client;
}

interface Answer {
  readonly status: number;
  readonly body: { readonly code?: string; readonly message?: string; readonly seq?: string };
}

/** A call of Send as curl makes it. */
async function send(
  context: Context,
  body: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { origin } = new URL(context.server.url.replace(/^ws/, "http"));
  const response = await fetch(`${origin}${SERVICE}/Send`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

/** The same with the secret of a client. */
async function sendAs(
  context: Context,
  { socket }: Client<OpenSocket>,
  body: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const { sessionId, secret = "" } = socket.opened ?? {};
  const headers = { "Messageloop-Stream-Secret": secret };
  return await send(context, { session_id: sessionId, ...body }, headers);
}

const ping = { ping: {} };
const NOWHERE = { code: "not_found", message: "there is no such stream" };

function refusal({ status, body: { code, message } }: Answer): unknown {
  return { status, code, message };
}

export const openCases: readonly Case[] = [
  {
    ...OPEN,
    rules: ["G7", "S5"],
    title:
      "the first message says how to send, to v1 clients too, with a secret of each stream's own",
    async run(context) {
      const first = await opened(context);
      const second = await opened(context);
      for (const { log, socket } of [first, second]) {
        assert.equal(
          valueAs(log[0] as (typeof log)[0], "connected").sessionId,
          socket.opened?.sessionId,
        );
        assert.match(socket.opened?.secret ?? "", /^[\w-]{22,}$/);
        assert.ok((socket.opened?.heartbeatIntervalMs ?? 0) > 0);
      }
      assert.notEqual(first.socket.opened?.secret, second.socket.opened?.secret);
    },
  },
  {
    ...OPEN,
    rules: ["G8", "P3", "S9"],
    title:
      "calls that are late, repeated, overlapping and lost bring each message once, in its order",
    async run(context) {
      const channel = context.channel();
      const client = await opened(context, { subscriptions: [{ channel }] });
      const listener = await context.webSocket();
      await listener.connect({ subscriptions: [{ channel }] });
      const wanted = Array.from({ length: 60 }, (_, index) => `${index}`);
      for (const text of wanted) {
        const value = {
          id: text,
          source: "/s",
          type: "t",
          data: { case: "textData", value: text },
        };
        client.send({ id: text, channel, envelope: { case: "publish", value } } as Inbound);
      }
      assert.deepEqual(texts(await listener.received(60)), wanted);
      assert.deepEqual(texts(await client.received(60)), wanted);
      const { body } = await sendAs(context, client, {});
      assert.equal(body.seq, "60");
      await eventually(
        async () => client.socket.taken,
        (taken) => taken === 60,
      );
    },
  },
  {
    ...OPEN,
    rules: ["G9"],
    title: "as much as may wait does; one message more closes with 3501",
    async run(context) {
      const client = await opened(context);
      const messages = Array.from({ length: MAX_HELD_MESSAGES }, (_, i) => ({
        id: `${i}`,
        ...ping,
      }));
      assert.deepEqual(await sendAs(context, client, { seq: 2, messages }), {
        status: 200,
        body: {},
      });
      assert.deepEqual(refusal(await sendAs(context, client, { seq: 3, messages })), {
        status: 404,
        ...NOWHERE,
      });
      assert.deepEqual(await client.closed(), { code: 3501, reason: "bad request" });
      const other = await opened(context);
      const half = { id: "x".repeat(50_000), ...ping };
      for (const seq of [2, 4, 6, 8, 10]) await sendAs(context, other, { seq, messages: [half] });
      assert.equal(other.close, undefined);
      await sendAs(context, other, { seq: 12, messages: [half] });
      assert.deepEqual(await other.closed(), { code: 3501, reason: "bad request" });
    },
  },
  {
    ...OPEN,
    rules: ["G10"],
    title:
      "a call that cannot be taken is refused as a whole; a message that cannot be is refused alone",
    kinds: EXTENDED,
    async run(context) {
      const client = await opened(context);
      const invalid = async (body: Readonly<Record<string, unknown>>, message: string) =>
        assert.deepEqual(refusal(await sendAs(context, client, body)), {
          status: 400,
          code: "invalid_argument",
          message,
        });
      await invalid({ seq: 0, messages: [ping] }, "seq counts from 1");
      await invalid({ seq: "9007199254740991", messages: [ping, ping] }, "seq is beyond 2^53 - 1");
      await invalid({ seq: "18446744073709551615", messages: [ping] }, "seq is beyond 2^53 - 1");
      await invalid({ seq: "1e3", messages: [ping] }, "Failed to decode message");
      await invalid({ seq: 1, messages: ping }, "Failed to decode message");
      const many = Array.from({ length: MAX_SEND_MESSAGES + 1 }, () => ping);
      await invalid({ seq: 1, messages: many }, "a Send holds at most 64 messages");
      const huge = { id: "x".repeat(400_000), ...ping };
      const { body } = await sendAs(context, client, { seq: 1, messages: [huge] });
      assert.equal(body.code, "resource_exhausted");
      const mixed = [{ id: "a", ...ping }, { id: 7 }, { id: "b", ...ping }];
      assert.equal((await sendAs(context, client, { seq: 1, messages: mixed })).body.seq, "3");
      await client.until(() => client.replies.find(({ id }) => id === "b"));
      assert.deepEqual(client.replies.slice(1).map(kindOf).sort(), [
        "error BAD_REQUEST",
        "pong",
        "pong",
      ]);
    },
  },
  {
    ...OPEN,
    rules: ["G10", "T6"],
    title: "a message beyond max_message_bytes closes with 1009, wherever it stands in a call",
    kinds: ONE,
    async run(context) {
      const client = await opened(context);
      const big = { id: "x".repeat(65_536), ...ping };
      await sendAs(context, client, { seq: 1, messages: [ping, big, ping] });
      assert.deepEqual(await client.closed(), { code: 1009, reason: "message too big" });
      assert.equal(client.all("pong").length, 1);
    },
  },
  {
    ...OPEN,
    rules: ["G11", "S5"],
    title:
      "who does not know the secret, or sends where nothing is, learns nothing and changes nothing",
    kinds: ONE,
    async run(context) {
      const client = await opened(context);
      const other = await opened(context);
      const { sessionId, secret = "" } = client.socket.opened ?? {};
      const message = { seq: 1, messages: [{ id: "mine", ...ping }] };
      const [node = ""] = sessionId?.split(".") ?? [];
      const secrets = ["", secret.slice(1), `${secret}A`, other.socket.opened?.secret ?? ""];
      const ids = [
        "",
        "nobody",
        `${node}.nobody`,
        `nobody.${sessionId}`,
        other.socket.opened?.sessionId,
      ];
      const socket = await context.webSocket();
      const connected = valueAs(await socket.connect(), "connected");
      for (const [id, given] of [
        ...secrets.map((text) => [sessionId, text] as const),
        ...[...ids, connected.sessionId].map((text) => [text, secret] as const),
      ]) {
        const headers = { "Messageloop-Stream-Secret": given };
        const answer = await send(context, { session_id: id, ...message }, headers);
        assert.deepEqual(refusal(answer), { status: 404, ...NOWHERE });
      }
      assert.equal((await sendAs(context, client, message)).body.seq, "1");
      client.socket.terminate();
      const gone = await eventually(
        () => sendAs(context, client, message),
        ({ status }) => status !== 200,
      );
      assert.deepEqual(refusal(gone), { status: 404, ...NOWHERE });
    },
  },
  {
    ...OPEN,
    rules: ["G12"],
    title:
      "heartbeats come while there is nothing to say; the session of who has left ends in three",
    server: "brief",
    kinds: EXTENDED,
    async run(context) {
      const client = await opened(context);
      const { socket } = client;
      assert.equal(socket.opened?.heartbeatIntervalMs, SHORT.heartbeatMs);
      await eventually(
        async () => socket.heartbeats,
        (count) => count >= 3,
      );
      assert.deepEqual(client.log.map(kindOf), ["connected"]);
      if (context.server.stats === undefined) return;
      socket.terminate();
      const left = Date.now();
      await eventually(
        () => context.stats(),
        ({ sessions }) => sessions === 0,
      );
      // Long before the stream would have ended by itself: a busy machine needs some time for the look.
      assert.ok(Date.now() - left < 3 * SHORT.heartbeatMs + SHORT.lifetimeMs / 2);
    },
  },
  {
    ...OPEN,
    rules: ["G13", "S12"],
    title: "after its time a stream closes with 3512, and the client may come back",
    server: "brief",
    kinds: EXTENDED,
    async run(context) {
      // The server counts from the call, which is some time before this process sees its answer.
      const began = Date.now();
      const client = await opened(context, { capabilities: ["control"] });
      assert.deepEqual(await client.closed(), { code: 3512, reason: "server going away" });
      const lived = Date.now() - began;
      assert.ok(lived > SHORT.lifetimeMs - 50, `closed after ${lived} ms`);
      const told = await client.until(() => client.all("disconnect")[0]).catch(() => undefined);
      assert.equal(told?.reconnect, true);
    },
  },
  {
    ...OPEN,
    rules: ["G14", "S6"],
    title: "any call is a sign of life, heartbeats are none: who sends nothing closes with 3511",
    server: "tight",
    kinds: ONE,
    async run(context) {
      const silent = await opened(context);
      const living = await opened(context);
      const calls = setInterval(() => living.sendRaw("ping"), 500);
      try {
        assert.deepEqual(await silent.closed(40_000), { code: 3511, reason: "idle timeout" });
        assert.equal(living.close, undefined);
        assert.equal(kindOf(await living.ping()), "pong");
      } finally {
        clearInterval(calls);
      }
    },
  },
  {
    ...OPEN,
    rules: ["G15"],
    title: "pages of the server's own host may call, and no others; no answer speaks of cookies",
    kinds: ONE,
    async run(context) {
      const { origin } = new URL(context.server.url.replace(/^ws/, "http"));
      const visit = async (path: string, method: string, from: string) => {
        const headers = {
          Origin: from,
          "Access-Control-Request-Method": "POST",
          "Content-Type": "application/json",
          Cookie: "a=b",
        };
        const body = method === "POST" ? "{}" : null;
        const answer = await fetch(`${origin}${SERVICE}/${path}`, { method, headers, body });
        await answer.arrayBuffer();
        assert.equal(answer.headers.get("set-cookie"), null);
        assert.equal(answer.headers.get("access-control-allow-credentials"), null);
        assert.match(answer.headers.get("vary") ?? "", /\bOrigin\b/);
        return {
          status: answer.status,
          allowed: answer.headers.get("access-control-allow-origin"),
        };
      };
      for (const path of ["Open", "Send"]) {
        assert.deepEqual(await visit(path, "OPTIONS", origin), { status: 204, allowed: origin });
        for (const method of ["OPTIONS", "POST"]) {
          const strange = await visit(path, method, "https://elsewhere.example");
          assert.deepEqual(strange, { status: 403, allowed: null });
        }
      }
      assert.deepEqual(await visit("Send", "POST", origin), { status: 404, allowed: origin });
    },
  },
];
