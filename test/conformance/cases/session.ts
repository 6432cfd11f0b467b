/** How a session begins, lives and ends. */
import assert from "node:assert/strict";
import { type Inbound, kindOf, valueAs } from "../../support/client.ts";
import { sleep } from "../../support/eventually.ts";
import { type Case, EXTENDED, ONE } from "../case.ts";
import { TIGHT } from "../variants.ts";

const event = { id: "e", source: "/s", type: "t" };

/** One message of every kind but connect and ping. */
const FIRST: Readonly<Record<string, Inbound>> = {
  publish: { channel: "a", envelope: { case: "publish", value: event } },
  subscribe: {
    envelope: { case: "subscribe", value: { subscriptions: [{ channel: "a" }] } },
  },
  unsubscribe: { envelope: { case: "unsubscribe", value: {} } },
  rpc_request: { envelope: { case: "rpcRequest", value: event } },
  sub_refresh: { envelope: { case: "subRefresh", value: {} } },
  survey_request: { envelope: { case: "surveyRequest", value: {} } },
  survey_response: { envelope: { case: "surveyResponse", value: {} } },
  received: { envelope: { case: "received", value: { bytes: 1n } } },
  "a message without envelope": { id: "empty" },
};

export const sessionCases: readonly Case[] = [
  {
    rules: ["S1"],
    over: "websocket",
    title: "any first frame but connect closes with 3502 and gets no answer",
    async run(context) {
      for (const [name, message] of Object.entries(FIRST)) {
        const client = await context.open();
        client.send(message);
        assert.deepEqual(await client.closed(), { code: 3502, reason: "stale" }, name);
        assert.deepEqual(client.frames, [], name);
      }
    },
  },
  {
    rules: ["S1", "S7", "F2"],
    over: "websocket",
    title: "pings and undecodable frames before connect are answered, and connect still works",
    async run(context) {
      const client = await context.open();
      assert.equal(kindOf(await client.ping()), "pong");
      client.sendRaw(context.kind.encoding === "json" ? "{" : new Uint8Array([255]));
      assert.equal((await client.next("error")).code, "BAD_REQUEST");
      assert.equal(kindOf(await client.connect()), "connected");
    },
  },
  {
    rules: ["S2"],
    title: "a second connect closes with 3501",
    async run(context) {
      const client = await context.client();
      client.send({ envelope: { case: "connect", value: {} } });
      assert.deepEqual(await client.closed(), { code: 3501, reason: "bad request" });
    },
  },
  {
    rules: ["S5", "K3", "U2"],
    title: "connected names the session, what it is subscribed to, and to extended clients more",
    async run(context) {
      const client = await context.open();
      const channel = context.channel();
      const capabilities = context.kind.extended ? ["control", "credit", "time-travel"] : [];
      const reply = await client.connect({ subscriptions: [{ channel }], capabilities });
      const connected = valueAs(reply, "connected");
      assert.match(connected.sessionId, /[0-9a-f-]{36}$/);
      assert.deepEqual(
        connected.subscriptions.map((entry) => entry.channel),
        [channel],
      );
      const position = connected.subscriptions[0]?.position;
      if (context.kind.extended) {
        assert.deepEqual([...connected.capabilities].sort(), ["control", "credit"]);
        assert.equal(connected.maxMessageBytes, 65_536);
        assert.ok(connected.pingIntervalMs > 0);
        assert.ok(connected.creditBytes > 0n);
        assert.equal(position?.offset, 0n);
        assert.notEqual(position?.epoch, "");
      } else {
        assert.equal(connected.maxMessageBytes, 0);
        assert.equal(position, undefined);
      }
    },
  },
  {
    rules: ["S10"],
    title: "a client id longer than 255 bytes is refused with 3501",
    async run(context) {
      const client = await context.open();
      const reply = await client.connect({ clientId: "x".repeat(256) });
      assert.equal(kindOf(reply), "error BAD_REQUEST");
      assert.equal((await client.closed()).code, 3501);
      await context.client({ clientId: "x".repeat(255), clientType: "y".repeat(255) });
    },
  },
  {
    rules: ["S14"],
    title: "sub_refresh is acknowledged",
    async run(context) {
      const client = await context.client();
      const value = { channels: ["a"] };
      assert.equal(
        kindOf(await client.request({ envelope: { case: "subRefresh", value } })),
        "subRefreshAck",
      );
    },
  },
  {
    rules: ["F1", "E1"],
    title: "a reply carries the id and metadata of its request and the server's time",
    async run(context) {
      const client = await context.client();
      const metadata = { trace: "abc", empty: "", "\u00fc": "\u{1f600}" };
      const messages: Inbound[] = [
        { envelope: { case: "ping", value: {} } },
        { channel: "a", envelope: { case: "publish", value: event } },
        { channel: "a..b", envelope: { case: "publish", value: event } },
        { envelope: { case: "subscribe", value: {} } },
        { envelope: { case: "rpcRequest", value: event } },
      ];
      const before = Date.now() - 60_000;
      for (const [index, message] of messages.entries()) {
        const reply = await client.request({ ...message, id: `same ${index}`, metadata });
        assert.deepEqual(reply.metadata, metadata);
        assert.ok(Number(reply.time) > before && Number(reply.time) < Date.now() + 60_000);
      }
    },
  },
  {
    rules: ["F2"],
    over: "websocket",
    title: "undecodable frames are BAD_REQUEST with a random id, and the connection goes on",
    async run(context) {
      const client = await context.client();
      const frames =
        context.kind.encoding === "json"
          ? ["", "{", "[]", "null", '"x"', '{"id":7}', '{"ping":{},"publish":{}}', "\u0000"]
          : [new Uint8Array([255, 255]), new Uint8Array([10, 5, 1]), "{", "[]"];
      const ids = new Set<string>();
      for (const [index, frame] of frames.entries()) {
        client.sendRaw(frame);
        const errors = await client.until(() => {
          const found = client.replies.filter(({ envelope }) => envelope.case === "error");
          return found.length > index ? found : undefined;
        });
        const last = errors.at(-1);
        assert.equal(last && kindOf(last), "error BAD_REQUEST");
        assert.match(last?.id ?? "", /^[0-9a-f-]{36}$/);
        ids.add(last?.id ?? "");
      }
      assert.equal(ids.size, frames.length);
      assert.equal(kindOf(await client.ping()), "pong");
    },
  },
  {
    rules: ["F3"],
    title: "a message without a known envelope gets no answer",
    async run(context) {
      const client = await context.client();
      const before = client.frames.length;
      client.send({ id: "silent" });
      if (context.kind.encoding === "json") client.sendRaw('{"id":"x","time_travel":{"to":1}}');
      // Field 99 of the message, a length-delimited member that nobody knows.
      else client.sendRaw(new Uint8Array([0x9a, 0x06, 0x01, 0x00]));
      assert.equal(kindOf(await client.ping()), "pong");
      assert.equal(client.frames.length, before + 1);
    },
  },
  {
    rules: ["S9"],
    title: "frames that name the same channel take effect in their order",
    async run(context) {
      const client = await context.client();
      const channel = context.channel();
      const subscriptions = [{ channel }];
      const sent: string[] = [];
      const send = (name: string, envelope: Inbound["envelope"]): void => {
        sent.push(name);
        client.send({ id: name, channel, envelope } as Inbound);
      };
      for (let i = 0; i < 10; i++) {
        send(`u${i}`, { case: "unsubscribe", value: { subscriptions } });
        send(`p${i}`, { case: "publish", value: { ...event, id: `e${i}` } });
        send(`s${i}`, { case: "subscribe", value: { subscriptions } });
      }
      send("last", { case: "publish", value: { ...event, id: "last" } });
      await client.until(() => client.replies.find(({ id }) => id === "last"));
      await client.received(1);
      assert.deepEqual(
        client.replies.map(({ id }) => id).filter((id) => sent.includes(id)),
        sent,
      );
      // Each publish came before the subscribe behind it, the last one after all of them.
      assert.deepEqual(
        client.messages.map(({ offset }) => Number(offset)),
        [11],
      );
    },
  },
  {
    rules: ["S8"],
    title: "a session that ends in the middle of anything leaves nothing",
    async run(context) {
      for (const end of ["close", "terminate"] as const) {
        const channel = context.channel();
        const subscriptions = Array.from({ length: 20 }, (_, i) => ({
          channel: `${channel}.${i}`,
        }));
        const connecting = await context.open();
        connecting.send({ envelope: { case: "connect", value: { subscriptions } } });
        const subscribing = await context.client();
        subscribing.send({ envelope: { case: "subscribe", value: { subscriptions } } });
        const publishing = await context.client();
        publishing.send({ channel, envelope: { case: "publish", value: event } });
        for (const { socket } of [connecting, subscribing, publishing]) socket[end]();
        await Promise.all([connecting, subscribing, publishing].map((client) => client.closed()));
      }
    },
  },
  {
    rules: ["S3"],
    over: "websocket",
    title: "a connection that does not connect closes with 3502, whatever it sends",
    server: "tight",
    kinds: ONE,
    async run(context) {
      // The server counts from when it has a connection, which is before this process knows of it.
      const began = Date.now();
      const silent = await context.open();
      const talking = await context.open();
      const pings = setInterval(() => talking.sendRaw("ping"), 100);
      try {
        for (const client of [silent, talking]) {
          // workerd sends the close frame in time, but ends the connection of a client that it has
          // never heard only after some ten seconds.
          assert.deepEqual(await client.closed(20_000), { code: 3502, reason: "stale" });
        }
      } finally {
        clearInterval(pings);
      }
      const lived = Date.now() - began;
      assert.ok(lived >= TIGHT.connectDeadlineMs - 50, `closed after ${lived} ms`);
    },
  },
  {
    rules: ["S6", "M1"],
    title: "a silent client is closed with 3511; any frame and the text ping put it off",
    server: "tight",
    async run(context) {
      const channel = context.channel();
      const subscriptions = [{ channel }];
      const silent = await context.client();
      const heartbeats = await context.client({ clientId: "heartbeats", subscriptions });
      const frames = await context.client(
        { clientId: "frames", subscriptions },
        { capabilities: ["presence"] },
      );
      const pings = setInterval(() => {
        heartbeats.sendRaw("ping");
        frames.send({ envelope: { case: "ping", value: {} } });
      }, 500);
      try {
        assert.deepEqual(await silent.closed(40_000), { code: 3511, reason: "idle timeout" });
        await sleep(TIGHT.idleMs);
        assert.equal(heartbeats.close, undefined);
        assert.equal(frames.close, undefined);
        if (!context.kind.extended) return;
        // Who is quiet in a channel is no less present in it.
        const envelope = { case: "presenceRequest", value: { channel } } as const;
        const { members } = valueAs(await frames.request({ envelope }), "presence");
        assert.deepEqual(
          members.map(({ clientId }) => clientId),
          ["heartbeats", "frames"],
        );
      } finally {
        clearInterval(pings);
      }
    },
  },
  {
    rules: ["S4"],
    title: "frames behind a connect that is being decided wait and take effect in order",
    server: "auth",
    async run(context) {
      const client = await context.open();
      const capabilities = context.kind.extended ? ["test"] : [];
      const connect = { token: "slow:200", capabilities };
      client.send({ id: "c", envelope: { case: "connect", value: connect } });
      const channel = context.channel();
      for (let i = 0; i < 30; i++) {
        const value = { ...event, id: `e${i}` };
        client.send({ id: `p${i}`, channel, envelope: { case: "publish", value } });
      }
      await client.until(() => client.replies.find(({ id }) => id === "p29"));
      assert.deepEqual(
        client.replies.map(({ id }) => id),
        ["c", ...Array.from({ length: 30 }, (_, i) => `p${i}`)],
      );
      const acks = client.replies.slice(1).map((reply) => valueAs(reply, "publishAck").offset);
      assert.deepEqual(
        acks.map(Number),
        Array.from({ length: 30 }, (_, i) => i + 1),
      );
    },
  },
  {
    rules: ["S4"],
    title: "more than 64 frames or 256 KiB behind a connect close with 3501, and so does a connect",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const start = async () => {
        const client = await context.open();
        client.send({ envelope: { case: "connect", value: { token: "slow:2000" } } });
        return client;
      };
      const many = await start();
      for (let i = 0; i < 65; i++) many.send({ envelope: { case: "ping", value: {} } });
      const large = await start();
      const data = { case: "textData", value: "x".repeat(60_000) } as const;
      for (let i = 0; i < 5; i++) {
        large.send({ channel: "a", envelope: { case: "publish", value: { ...event, data } } });
      }
      const again = await start();
      again.send({ envelope: { case: "connect", value: {} } });
      for (const client of [many, large, again]) {
        assert.equal((await client.closed()).code, 3501);
      }
    },
  },
];
