/** Tokens that expire, and new ones for connections that are there. */
import assert from "node:assert/strict";
import { type Client, kindOf, textOf, texts, valueAs } from "../../support/client.ts";
import { eventually, sleep } from "../../support/eventually.ts";
import { type Case, EXTENDED, V1 } from "../case.ts";
import { USER_CONNECTIONS } from "../variants.ts";

/** How long a brief token is good: every host looks at least once in that time, in milliseconds. */
const BRIEF_MS = 3_000;
/** A host may be so late to notice that a token has expired, in milliseconds. */
const LATE_MS = 2_500;
/** A brief token has ended by then, on a busy machine as well. */
const AT_MOST_MS = BRIEF_MS + LATE_MS + 5_000;

/** Within this time every node has ended the sessions of a revoked token, in milliseconds. */
const SWEPT_MS = 10_000;

const brief = (user: string, ms = BRIEF_MS): string => `brief:${user}/${ms}`;

/** Asserts that a moment of the server's lies between two of this process', which have the same clock. */
function assertBetween(moment: number, first: number, last: number): void {
  assert.ok(moment >= first - 100 && moment <= last + 100, `${first} ${moment} ${last}`);
}

async function refresh(client: Client, token: string) {
  return await client.request({ envelope: { case: "refresh", value: { token } } });
}

export const tokenCases: readonly Case[] = [
  {
    rules: ["X1", "S12"],
    title: "an extended client is told that its token expires, and closed with 3513 when it has",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const client = await context.open({ capabilities: ["control"] });
      const began = Date.now();
      valueAs(await client.connect({ token: brief("ada") }), "connected");
      const connected = Date.now();
      const { expiresAt } = await client.next("tokenExpiring");
      const told = client.replies.find(({ envelope }) => envelope.case === "tokenExpiring");
      assert.ok(Number(told?.time) < Number(expiresAt), `told at ${told?.time}`);
      assertBetween(Number(expiresAt) - BRIEF_MS, began, connected);
      const { code, reconnect } = await client.next("disconnect");
      assert.deepEqual([code, reconnect], [3513, true]);
      assert.deepEqual(await client.closed(), { code: 3513, reason: "token expired" });
      const lived = Date.now() - began;
      assert.ok(lived >= BRIEF_MS - 100 && lived < AT_MOST_MS, `closed after ${lived} ms`);
      // Once, however often the host has looked.
      assert.equal(client.all("tokenExpiring").length, 1);
    },
  },
  {
    rules: ["X1", "K2"],
    title: "a v1 client is told nothing, and closed with 3500 when its token has expired",
    server: "auth",
    kinds: V1,
    async run(context) {
      const client = await context.open();
      const began = Date.now();
      valueAs(await client.connect({ token: brief("ada") }), "connected");
      assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
      assert.ok(Date.now() - began >= BRIEF_MS - 100);
      assert.equal(client.all("tokenExpiring").length, 0);
    },
  },
  {
    rules: ["X2"],
    title: "a new token keeps the session, and what it is subscribed to",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const client = await context.open({ capabilities: ["refresh"] });
      await client.connect({ token: brief("ada"), subscriptions: [{ channel }] });
      const { expiresAt } = await client.next("tokenExpiring");
      for (const [token, code] of [
        ["wrong", "INVALID_CREDENTIALS"],
        ["down", "UNAVAILABLE"],
      ] as const) {
        assert.equal(valueAs(await refresh(client, token), "error").code, code);
      }
      const longer = valueAs(await refresh(client, brief("ada", 60_000)), "refreshAck");
      assert.ok(longer.expiresAt > expiresAt);
      assert.equal(valueAs(await refresh(client, "user:ada"), "refreshAck").expiresAt, 0n);
      await sleep(Math.max(0, Number(expiresAt) - Date.now()) + LATE_MS);
      assert.equal(client.close, undefined);
      await client.publish(channel, "still here");
      await client.received(1);
    },
  },
  {
    rules: ["X2"],
    title: "a token of another user is refused with 3500",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const client = await context.open({ capabilities: ["refresh"] });
      await client.connect({ token: "user:ada" });
      assert.equal(kindOf(await refresh(client, "user:bob")), "error AUTH_ERROR");
      assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
    },
  },
  {
    rules: ["X2"],
    title: "refresh needs its capability, and a server that authenticates",
    server: "backend",
    kinds: EXTENDED,
    async run(context) {
      const without = await context.client();
      assert.equal(kindOf(await refresh(without, "user:ada")), "error BAD_REQUEST");
      const client = await context.client({}, { capabilities: ["refresh"] });
      assert.equal(kindOf(await refresh(client, "user:ada")), "error UNIMPLEMENTED");
    },
  },
  {
    rules: ["X3"],
    title: "a revoked token ends its session on every node within 10 s, and begins no other",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const user = `ann-${crypto.randomUUID()}`;
      const application = await context.client({ token: "user:application" }, { node: 0 });
      const revoke = async (what: object): Promise<{ durable: boolean }> => {
        const reply = await application.rpc("revoke", JSON.stringify(what));
        return JSON.parse(textOf(valueAs(reply, "rpcReply")));
      };
      const nodes = [0, 1];
      const open = async (token: string) =>
        await Promise.all(
          nodes.map((node) => context.client({ token }, { node, capabilities: ["refresh"] })),
        );
      const [first, second, old] = [
        await open(`id:${user}/first`),
        await open(`id:${user}/second`),
        await open(`old:${user}`),
      ];
      const other = await context.client({ token: "user:bob" }, { node: 1 });
      const began = Date.now();
      const { durable } = await revoke({ user, tokenId: "first" });
      assert.equal(durable, context.host.capabilities?.keepsRevocations);
      for (const client of first) {
        assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
      }
      assert.ok(Date.now() - began < SWEPT_MS);
      assert.ok([...second, ...old, other].every(({ close }) => close === undefined));
      for (const node of nodes) {
        const late = await context.open({ node });
        const { code } = valueAs(await late.connect({ token: `id:${user}/first` }), "error");
        assert.equal(code, "AUTH_ERROR");
        assert.equal((await late.closed()).code, 3500);
      }
      for (const client of second) {
        assert.equal(kindOf(await refresh(client, `id:${user}/first`)), "error AUTH_ERROR");
        assert.equal(kindOf(await refresh(client, `id:${user}/second`)), "refreshAck");
      }
      const again = Date.now();
      await revoke({ user });
      for (const client of [...second, ...old]) assert.equal((await client.closed()).code, 3500);
      assert.ok(Date.now() - again < SWEPT_MS);
      for (const node of nodes) {
        const late = await context.open({ node });
        assert.equal(kindOf(await late.connect({ token: `old:${user}` })), "error AUTH_ERROR");
        assert.equal((await late.closed()).code, 3500);
        // Whoever authenticates says of this one now that it is good.
        await context.client({ token: `user:${user}` }, { node });
      }
      assert.equal(other.close, undefined);
    },
  },
  {
    rules: ["X3"],
    title: "a v1 client is closed with 3500 as well",
    server: "auth",
    kinds: V1,
    async run(context) {
      const user = `ann-${crypto.randomUUID()}`;
      const application = await context.client({ token: "user:application" }, { node: 0 });
      const client = await context.client({ token: `user:${user}` }, { node: 1 });
      await application.rpc("revoke", JSON.stringify({ user }));
      assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
    },
  },
  {
    rules: ["X3", "X6"],
    title: "a revoked token of a subscription ends that alone, on every node, and begins no other",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const user = `ann-${crypto.randomUUID()}`;
      const application = await context.client({ token: "user:application" }, { node: 0 });
      const revoke = async (what: object) =>
        valueAs(await application.rpc("revoke", JSON.stringify(what)), "rpcReply");
      const [one, two, open] = [context.channel(), context.channel(), context.channel()];
      const own = (id: string): string => `own:${id}/60000`;
      const clients = await Promise.all(
        [0, 1].map((node) =>
          context.client({ token: `id:${user}/mine` }, { node, capabilities: ["control"] }),
        ),
      );
      for (const client of clients) {
        await client.subscribe(
          { channel: one, token: own("first") },
          { channel: two, token: own("second") },
          open,
        );
      }
      const ended = async (client: Client, count: number): Promise<string[]> =>
        (await client.several("unsubscribed", count)).flatMap(({ subscriptions }) =>
          subscriptions.map(({ channel }) => channel),
        );
      const began = Date.now();
      await revoke({ user, tokenId: "first" });
      for (const client of clients) assert.deepEqual(await ended(client, 1), [one]);
      assert.ok(Date.now() - began < SWEPT_MS);
      for (const client of clients) {
        const again = await client.request({
          envelope: {
            case: "subscribe",
            value: { subscriptions: [{ channel: one, token: own("first") }] },
          },
        });
        const { subscriptions } = valueAs(again, "subscribeAck");
        assert.equal(subscriptions[0]?.error?.code, "ACL_ERROR");
        const tokens = { [two]: own("first") };
        const value = { channels: [two], tokens };
        const renewed = await client.request({ envelope: { case: "subRefresh", value } });
        const [entry] = valueAs(renewed, "subRefreshAck").subscriptions;
        assert.equal(entry?.error?.code, "ACL_ERROR");
        assert.deepEqual(await ended(client, 2), [one, two]);
        await client.publish(open, "still here");
      }
      for (const client of clients) {
        await client.received(2);
        assert.equal(client.close, undefined);
      }
    },
  },
  {
    rules: ["X3", "X6"],
    title: "a v1 client is closed with 3500 when a subscription's token is revoked",
    server: "auth",
    kinds: V1,
    async run(context) {
      const user = `ann-${crypto.randomUUID()}`;
      const application = await context.client({ token: "user:application" }, { node: 0 });
      const client = await context.client({ token: `id:${user}/mine` }, { node: 1 });
      await client.subscribe({ channel: context.channel(), token: "own:first/60000" });
      await application.rpc("revoke", JSON.stringify({ user, tokenId: "first" }));
      assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
    },
  },
  {
    rules: ["X6"],
    title: "a subscription ends with its own token, is told ahead, and others go on",
    server: "auth",
    kinds: EXTENDED,
    async run(context) {
      const [brief, long, open] = [context.channel(), context.channel(), context.channel()];
      const client = await context.client({ token: "user:ada" }, { capabilities: ["control"] });
      const began = Date.now();
      await client.subscribe(
        { channel: brief, token: `own:a/${BRIEF_MS}` },
        { channel: long, token: "own:b/600000" },
        open,
      );
      const subscribed = Date.now();
      const { channels, expiresAt } = await client.next("tokenExpiring");
      assert.deepEqual(channels, [brief]);
      assertBetween(Number(expiresAt) - BRIEF_MS, began, subscribed);
      const { subscriptions } = await client.next("unsubscribed");
      assert.deepEqual(
        subscriptions.map(({ channel }) => channel),
        [brief],
      );
      const lived = Date.now() - began;
      assert.ok(lived >= BRIEF_MS - 100 && lived < AT_MOST_MS, `ended after ${lived} ms`);
      for (const channel of [brief, long, open]) await client.publish(channel, `to ${channel}`);
      // Between channels there is no order.
      const heard = texts(await client.received(2)).toSorted();
      assert.deepEqual(heard, [`to ${long}`, `to ${open}`].toSorted());
      assert.equal(client.all("tokenExpiring").length, 1);
    },
  },
  {
    rules: ["X6", "K2"],
    title: "a v1 client is closed with 3500 when a subscription's token has expired",
    server: "auth",
    kinds: V1,
    async run(context) {
      const client = await context.client({ token: "user:ada" });
      const began = Date.now();
      await client.subscribe({ channel: context.channel(), token: `own:a/${BRIEF_MS}` });
      assert.deepEqual(await client.closed(), { code: 3500, reason: "invalid token" });
      assert.ok(Date.now() - began >= BRIEF_MS - 100);
      assert.equal(client.all("tokenExpiring").length, 0);
    },
  },
  {
    rules: ["X4"],
    title: "a user has so many connections on all nodes together, and no more",
    server: "counted",
    async run(context) {
      const user = `ann-${crypto.randomUUID()}`;
      const token = `user:${user}`;
      const clients = [];
      for (let node = 0; node < USER_CONNECTIONS; node++) {
        clients.push(await context.client({ token }, { node }));
      }
      for (const node of [0, 1]) {
        const late = await context.open({ node });
        late.send({ envelope: { case: "connect", value: { token } } });
        assert.deepEqual(await late.closed(), { code: 3504, reason: "connection limit" });
        await context.client({ token: `user:bob-${crypto.randomUUID()}` }, { node });
      }
      clients[0]?.socket.close(1000);
      await eventually(async () => {
        const next = await context.open({ node: 1 });
        next.send({ id: "c", envelope: { case: "connect", value: { token } } });
        const came = await next.until(
          () => next.close ?? next.log.find(({ envelope }) => envelope.case === "connected"),
        );
        return !("code" in came);
      });
    },
  },
  {
    rules: ["X5", "S14"],
    title: "a subscription's new token keeps it or ends it, and a backend that fails does neither",
    server: "backend",
    kinds: EXTENDED,
    async run(context) {
      const [kept, ended, other] = ["denied", "denied", "test"].map((word) =>
        context.channel(word),
      );
      const client = await context.client({}, { capabilities: ["control"] });
      const channels = [kept, ended].map((channel) => ({
        channel: `${channel}`,
        token: "open-sesame",
      }));
      await client.subscribe(...channels, `${other}`);
      const renew = async (tokens: Record<string, string>) => {
        const value = { channels: Object.keys(tokens), tokens };
        const reply = await client.request({ envelope: { case: "subRefresh", value } });
        const { subscriptions } = valueAs(reply, "subRefreshAck");
        return Object.fromEntries(subscriptions.map((one) => [one.channel, one.error?.code]));
      };
      const unknown = context.channel();
      assert.deepEqual(await renew({ [`${kept}`]: "down", [`${ended}`]: "open-sesame" }), {
        [`${kept}`]: "UNAVAILABLE",
        [`${ended}`]: undefined,
      });
      assert.deepEqual(
        await renew({
          [`${kept}`]: "open-sesame",
          [`${ended}`]: "wrong",
          [unknown]: "open-sesame",
        }),
        { [`${kept}`]: undefined, [`${ended}`]: "ACL_ERROR", [unknown]: "BAD_REQUEST" },
      );
      const { subscriptions } = await client.next("unsubscribed");
      assert.deepEqual(
        subscriptions.map(({ channel }) => channel),
        [ended],
      );
      for (const channel of [ended, unknown, kept, other]) {
        await client.publish(`${channel}`, `to ${channel}`);
      }
      // Between channels there is no order.
      const heard = texts(await client.received(2)).toSorted();
      assert.deepEqual(heard, [`to ${kept}`, `to ${other}`].toSorted());
    },
  },
  {
    rules: ["S14", "X5"],
    title: "of a v1 client, and without tokens, it changes nothing",
    server: "backend",
    async run(context) {
      const channel = context.channel("denied");
      const client = await context.client();
      await client.subscribe({ channel, token: "open-sesame" });
      const tokens = context.kind.extended ? {} : { [channel]: "wrong" };
      const value = { channels: [channel], tokens };
      const reply = await client.request({ envelope: { case: "subRefresh", value } });
      assert.deepEqual(valueAs(reply, "subRefreshAck").subscriptions, []);
      await client.publish(channel, "still here");
      await client.received(1);
    },
  },
];
