/** Rules of who may do what: every entrance, every action and every verdict, by rules, tickets and the backend. */
import assert from "node:assert/strict";
import { ACTIONS, type Action } from "../../../src/engine/ports/access.ts";
import { type Client, type ConnectInit, kindOf, texts, valueAs } from "../../support/client.ts";
import { eventsUrl } from "../../support/event-client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, type Context, EXTENDED, ONE, type OpenOptions, V1 } from "../case.ts";
import { API_KEY, ticketFor } from "../keys.ts";

const READING = { capabilities: ["history", "presence", "recovery"] } as const;
/** What answers an action that is allowed. */
const DONE: Readonly<Record<Action, string>> = {
  subscribe: "subscribeAck",
  publish: "publishAck",
  presence: "presence",
  history: "history",
  survey: "surveyResponse",
  rpc: "rpcReply",
};
const DENIED = "error ACL_ERROR";

async function user(
  context: Context,
  id = "ada",
  connect: ConnectInit = {},
  options: OpenOptions = context.kind.extended ? READING : {},
) {
  return await context.client({ token: `user:${id}`, ...connect }, options);
}

/** What a client is told of something: the kind of the answer, with the code of what is refused. */
async function told(client: Client, action: Action, channel: string): Promise<string> {
  switch (action) {
    case "subscribe": {
      const reply = await client.subscribe(channel);
      if (reply.envelope.case !== "subscribeAck") return kindOf(reply);
      const error = reply.envelope.value.subscriptions[0]?.error;
      return error === undefined ? "subscribeAck" : `error ${error.code}`;
    }
    case "publish": {
      const value = { id: crypto.randomUUID(), source: "/test", type: "t" };
      return kindOf(await client.request({ channel, envelope: { case: "publish", value } }));
    }
    case "presence":
      return kindOf(
        await client.request({ envelope: { case: "presenceRequest", value: { channel } } }),
      );
    case "history": {
      const value = { channel, limit: 1 };
      return kindOf(await client.request({ envelope: { case: "historyRequest", value } }));
    }
    case "survey": {
      const value = { requestId: "own" };
      return kindOf(await client.request({ channel, envelope: { case: "surveyRequest", value } }));
    }
    case "rpc":
      return kindOf(await client.rpc("echo", "hello", channel));
  }
}

/** The codes of the entries of connect. */
async function connected(
  context: Context,
  channels: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const client = await context.open();
  const subscriptions = channels.map((channel) => ({ channel }));
  const reply = await client.connect({ token: "user:ada", subscriptions });
  return valueAs(reply, "connected").subscriptions.map(({ error }) => error?.code);
}

export const accessRuleCases: readonly Case[] = [
  {
    rules: ["D1", "H1", "M4"],
    title: "every action is allowed where a rule says so, and refused everywhere else",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const client = await user(context);
      const channels = ACTIONS.map((name) => [name, context.channel(`can.${name}`)] as const);
      for (const action of ACTIONS) {
        for (const [name, channel] of channels) {
          const reads = name === "presence" || name === "history";
          const allowed = name === action || (action === "subscribe" && reads);
          const answer = await told(client, action, channel);
          assert.equal(answer, allowed ? DONE[action] : DENIED, `${action} in ${name}`);
        }
      }
      // Somebody whom a rule names may do all of it.
      const grace = await user(context, "grace");
      for (const action of ACTIONS) {
        assert.equal(await told(grace, action, channels[0]?.[1] ?? ""), DONE[action]);
      }
      assert.equal(kindOf(await client.ping()), "pong");
    },
  },
  {
    rules: ["D1", "U3"],
    title:
      "a v1 client is told of each refusal: its session goes on, except after that of a subscription",
    server: "ruled",
    kinds: V1,
    async run(context) {
      const client = await user(context);
      for (const action of ["publish", "survey", "rpc"] as const) {
        assert.equal(await told(client, action, context.channel("can.subscribe")), DENIED);
        assert.equal(await told(client, action, context.channel(`can.${action}`)), DONE[action]);
      }
      const channel = context.channel("open");
      assert.equal(await told(client, "subscribe", channel), "subscribeAck");
      await client.publish(channel, "still here");
      assert.deepEqual(texts(await client.received(1)), ["still here"]);
      assert.equal(await told(client, "subscribe", context.channel("unknown")), DENIED);
      assert.equal((await client.closed()).code, 3500);
    },
  },
  {
    rules: ["D1", "D2", "D3", "U2"],
    title: "subscriptions of connect are decided as those of subscribe",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const wanted = [context.channel("open"), "open.x.sealed", "open.**", context.channel("else")];
      const expected = [undefined, "ACL_ERROR", "ACL_ERROR", "ACL_ERROR"];
      assert.deepEqual(await connected(context, wanted), expected);
      const client = await user(context);
      for (const [index, channel] of wanted.entries()) {
        const answer = await told(client, "subscribe", channel);
        assert.equal(answer, expected[index] === undefined ? "subscribeAck" : DENIED, channel);
      }
    },
  },
  {
    rules: ["D1", "U2", "U3"],
    title: "a v1 client whose connect names what it may not have is closed with 3500",
    server: "ruled",
    kinds: V1,
    async run(context) {
      const client = await context.open();
      const subscriptions = [{ channel: context.channel("open") }, { channel: "open.sealed.x" }];
      assert.equal(kindOf(await client.connect({ token: "user:ada", subscriptions })), DENIED);
      assert.equal((await client.closed()).code, 3500);
    },
  },
  {
    rules: ["D2", "D3"],
    title: "what a rule denies no other allows, and a pattern that stands for any of it is refused",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const client = await user(context);
      for (const channel of ["open.x.sealed", "open.sealed", "open.sealed.x.y"]) {
        for (const action of ["subscribe", "publish", "rpc", "survey"] as const) {
          assert.equal(await told(client, action, channel), DENIED, `${action} ${channel}`);
        }
      }
      for (const [pattern, answer] of [
        ["open.**", DENIED],
        ["open.*", DENIED],
        ["open.*.*", DENIED],
        ["open.x.*", DENIED],
        ["**", DENIED],
        ["open.x.y.**", "subscribeAck"],
        ["open.*.free", DENIED],
        ["open.x.*.*", "subscribeAck"],
        // Two patterns allow together what neither does.
        ["joined.**", "subscribeAck"],
        ["joined.*", "subscribeAck"],
        ["*.x", DENIED],
      ]) {
        assert.equal(await told(client, "subscribe", pattern ?? ""), answer, pattern);
      }
    },
  },
  {
    rules: ["D4"],
    title: "{user} is the user's id as one word, and whoever is called like a pattern has none",
    server: "ruled",
    async run(context) {
      const ada = await user(context);
      assert.equal(await told(ada, "publish", "inbox.ada.new"), "publishAck");
      assert.equal(await told(ada, "publish", "inbox.grace.new"), DENIED);
      assert.equal(await told(ada, "subscribe", "inbox.ada.**"), "subscribeAck");
      for (const id of ["*", "**", "ada.grace", "grace"]) {
        const other = await user(context, id);
        for (const channel of ["inbox.ada.new", "inbox.ada.grace.new"]) {
          assert.equal(await told(other, "publish", channel), DENIED, `${id} ${channel}`);
        }
        if (!context.kind.extended) continue;
        for (const pattern of ["inbox.*.**", "inbox.**", "inbox.*", "inbox.ada.**"]) {
          assert.equal(await told(other, "subscribe", pattern), DENIED, `${id} ${pattern}`);
        }
      }
      // Nobody vouches for a client's own name here.
      const named = await user(context, "ada", { clientId: "d1" });
      assert.equal(await told(named, "publish", "device.d1.x"), DENIED);
      const vouched = await user(context, "ada", { token: "vouched", clientId: "d1" });
      assert.equal(await told(vouched, "publish", "device.d1.x"), "publishAck");
      assert.equal(await told(vouched, "publish", "device.d2.x"), DENIED);
    },
  },
  {
    rules: ["D1", "A4"],
    title: "the backend may refuse what rules allow, and is not asked about what they deny",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const client = await user(context);
      const channel = context.channel("denied");
      assert.equal(await told(client, "subscribe", channel), DENIED);
      const granted = await client.subscribe({ channel, token: "open-sesame" });
      assert.equal(valueAs(granted, "subscribeAck").subscriptions[0]?.error, undefined);
      // The backend fails about these, and would be UNAVAILABLE if it were asked.
      assert.equal(await told(client, "subscribe", context.channel("broken")), DENIED);
    },
  },
  {
    rules: ["D1", "D2"],
    title: "grants of a token are all that its bearer may do, and nothing that a rule denies",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const names = ACTIONS.map((name) => [name, context.channel(`granted.${name}`)] as const);
      const grants = names.map(([name, channel]) => `${channel}=${name}+subscribe`);
      const token = `granted:${[...grants, "open.x.*=subscribe+publish"].join(",")}`;
      const client = await user(context, "ada", { token });
      for (const action of ACTIONS) {
        for (const [name, channel] of names) {
          const allowed = name === action || action === "subscribe";
          const answer = await told(client, action, channel);
          assert.equal(answer, allowed ? DONE[action] : DENIED, `${action} in ${name}`);
        }
      }
      assert.equal(await told(client, "publish", "open.x.sealed"), DENIED);
      assert.equal(await told(client, "subscribe", "open.x.*"), DENIED);
      assert.equal(await told(client, "publish", "open.x.free"), "publishAck");
      // A rule allows it to those who have no grants.
      assert.equal(await told(client, "publish", context.channel("open")), DENIED);
      // The backend may refuse what a token grants.
      const denied = context.channel("denied");
      const other = await user(context, "ada", { token: `granted:${denied}=subscribe` });
      assert.equal(await told(other, "subscribe", denied), DENIED);
    },
  },
  {
    rules: ["D2", "A8"],
    title: "a channel that the authenticator gives is there, unless a rule denies it",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const given = context.channel("given");
      const client = await context.open();
      const token = `given:${given},open.x.sealed,open.sealed.y`;
      const subscriptions = [{ channel: "open.sealed.y" }];
      const reply = valueAs(await client.connect({ token, subscriptions }), "connected");
      assert.deepEqual(
        reply.subscriptions.map(({ channel, error }) => [channel, error?.code]),
        [
          ["open.sealed.y", "ACL_ERROR"],
          [given, undefined],
          ["open.x.sealed", "ACL_ERROR"],
        ],
      );
    },
  },
  {
    rules: ["D2", "A8"],
    title: "a v1 client to whom a channel is given that a rule denies is refused as a whole",
    server: "ruled",
    kinds: V1,
    async run(context) {
      const client = await context.open();
      assert.equal(kindOf(await client.connect({ token: "given:open.x.sealed" })), DENIED);
      assert.equal((await client.closed()).code, 3500);
    },
  },
  {
    rules: ["D5", "C3"],
    title: "who may not read history is told that what was missed is missing, and hears what comes",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel("can.subscribe");
      const grace = await user(context, "grace");
      await grace.publish(channel, "before");
      for (const asked of [{ rewind: 1 }, { recover: true }]) {
        const client = await user(context);
        await client.subscribe({ channel, ...asked });
        const [recovered] = await client.several("recovered", 1);
        assert.equal(recovered?.gap?.reason, "unavailable");
        await grace.publish(channel, "after");
        assert.deepEqual(texts(await client.received(1)), ["after"]);
      }
    },
  },
  {
    rules: ["D5", "M2"],
    title: "who may not see who is in a channel hears of nobody who comes",
    server: "ruled",
    kinds: EXTENDED,
    async run(context) {
      const [blind, seen] = [context.channel("can.subscribe"), context.channel("can.presence")];
      const client = await user(context);
      await client.subscribe(blind, seen);
      const grace = await user(context, "grace", { clientId: "second" });
      await grace.subscribe(blind);
      await grace.subscribe(seen);
      await client.several("presenceEvent", 1);
      await grace.publish(blind, "last");
      await client.received(1);
      const heard = client.all("presenceEvent").map((event) => event.channel);
      assert.deepEqual(heard, [seen]);
    },
  },
  {
    rules: ["D6", "N2"],
    title: "a ticket grants what no rule denies, and a key is above rules",
    server: "ruled",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const elsewhere = context.channel("elsewhere");
      const forgetful = context.channel("open.forgetful");
      const ticket = await ticketFor({ channels: ["open.**", elsewhere] });
      const rows: readonly [string, number][] = [
        ["open.x.sealed", 403],
        ["open.**", 403],
        ["inbox.ada.x", 403],
      ];
      for (const [name, status] of rows) {
        const answer = await fetch(eventsUrl(context.origin, name, { ticket }));
        assert.equal(answer.status, status, name);
        assert.equal(((await answer.json()) as { code: string }).code, "ACL_ERROR", name);
      }
      for (const name of [elsewhere, context.channel("open")]) {
        const reader = await context.events(name, { query: { ticket } });
        assert.equal(reader.status, 200, name);
        await reader.event("subscribed");
      }
      const headers = { authorization: `Bearer ${API_KEY}` };
      const byKey = await context.events("open.x.sealed", { headers });
      assert.equal(byKey.status, 200);
      const grace = await user(context, "grace");
      await grace.publish(forgetful, "before");
      const query = { ticket, last_event_id: "old-1" };
      const late = await context.events(forgetful, { query });
      const gap = await late.event("gap");
      assert.equal(gap.data.reason, "unavailable");
      await grace.publish(forgetful, "after");
      await eventually(
        () => late.reader.texts,
        (said) => said.length > 0,
      );
      assert.deepEqual(late.reader.texts, ["after"]);
    },
  },
];
