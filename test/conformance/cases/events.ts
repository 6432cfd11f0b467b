/** Server-sent events: who may read, what is on the stream, and how it goes on. */
import assert from "node:assert/strict";
import { type EventClient, type EventsAsked, eventsUrl } from "../../support/event-client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, type Context, ONE } from "../case.ts";
import { API_KEY, PUBLISHER_KEY, ticketFor } from "../keys.ts";
import { RULES, TIGHT } from "../variants.ts";

/** How much later something may be seen on a busy machine, in milliseconds. */
const LATE_MS = 5_000;

const WITH_KEY = { headers: { authorization: `Bearer ${API_KEY}` } };

/** Opens a stream with the suite's key, unless something else is shown. */
async function read(
  context: Context,
  channel: string,
  asked: EventsAsked = WITH_KEY,
): Promise<EventClient> {
  return await context.events(channel, asked);
}

async function back(context: Context, channel: string, id: string): Promise<EventClient> {
  return await read(context, channel, {
    headers: { ...WITH_KEY.headers, "last-event-id": id },
  });
}

/** Everything that a stream has said, one word an event. */
function told({ reader }: EventClient): string[] {
  return reader.events.map(({ event, data }) => {
    if (event === "message") return data.payload?.text_data ?? "";
    return event === "gap" ? `gap ${data.channel} ${data.reason}` : event;
  });
}

async function saying(client: EventClient, ...words: readonly string[]): Promise<void> {
  await eventually(
    () => told(client),
    (said) => said.length >= words.length,
  );
  assert.deepEqual(told(client), words);
}

/** Resolves when there are these messages and no others, in any order: between channels there is none. */
async function texts({ reader }: EventClient, ...wanted: readonly string[]): Promise<void> {
  await eventually(
    () => reader.texts.toSorted(),
    (seen) => seen.join() === wanted.toSorted().join(),
  );
}

/** Name of the first event. */
async function firstOf({ reader }: EventClient): Promise<string> {
  await eventually(() => reader.events.length > 0);
  return reader.events[0]?.event ?? "";
}

export const eventCases: readonly Case[] = [
  {
    rules: ["N1", "N4", "N5"],
    title: "a stream begins at once, says where, and has every message of its channel in order",
    server: "backend",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = `${context.channel()}.é/ü %`;
      const publisher = await context.client();
      await publisher.publish(channel, "before");
      const client = await read(context, channel);
      assert.equal(client.status, 200);
      assert.equal(client.headers["content-type"], "text/event-stream");
      const subscribed = await client.event("subscribed");
      assert.equal(client.reader.heartbeats >= 1, true);
      assert.equal(subscribed.retry === undefined, false);
      const [subscription] = subscribed.data.subscriptions ?? [];
      const { epoch = "", offset } = subscription?.position ?? {};
      assert.deepEqual([subscription?.channel, offset], [channel, "1"]);
      assert.equal(await publisher.publish(channel, "one"), 2);
      await publisher.publish(channel, "two");
      await saying(client, "subscribed", "one", "two");
      const [message] = client.reader.messages;
      assert.equal(message?.id, `${epoch}-2`);
      assert.deepEqual(
        [message?.data.channel, message?.data.epoch, message?.data.offset],
        [channel, epoch, "2"],
      );
    },
  },
  {
    rules: ["N1", "N2", "N3"],
    title: "who may not read is told so with a code, and what is no channel is BAD_REQUEST",
    server: "auth",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
      const ticket = await ticketFor({ channels: [channel] });
      const expired = await ticketFor({ channels: [channel], ttlMs: 1_000, age: 2_000 });
      const rows: readonly [string, EventsAsked, string, number, string][] = [
        [channel, {}, "GET", 401, "AUTH_ERROR"],
        [channel, bearer("ml_suite_wrong"), "GET", 401, "AUTH_ERROR"],
        [channel, bearer(PUBLISHER_KEY), "GET", 403, "ACL_ERROR"],
        [channel, { query: { ticket: `${ticket.slice(0, -3)}AAA` } }, "GET", 401, "AUTH_ERROR"],
        [`${channel}.x`, { query: { ticket } }, "GET", 403, "ACL_ERROR"],
        ["**", { query: { ticket } }, "GET", 403, "ACL_ERROR"],
        [channel, { query: { ticket: expired } }, "GET", 204, ""],
        ["a..b", WITH_KEY, "GET", 400, "BAD_REQUEST"],
        ["**.a", WITH_KEY, "GET", 400, "BAD_REQUEST"],
        [channel, WITH_KEY, "POST", 405, "METHOD_NOT_ALLOWED"],
      ];
      for (const [name, { query, headers = {} }, method, status, code] of rows) {
        const url = eventsUrl(context.origin, name, query);
        const answer = await fetch(url, { method, headers, redirect: "manual" });
        const text = await answer.text();
        const why = `${method} ${name} ${status} ${text}`;
        assert.equal(answer.status, status, why);
        assert.equal(text === "" ? "" : JSON.parse(text).code, code, why);
        assert.equal(answer.headers.get("cache-control"), "no-store, no-transform", why);
        assert.equal(answer.headers.get("referrer-policy"), "no-referrer", why);
      }
      // What only looks like the path of a stream is none, and leads nobody to another one.
      for (const path of ["a/b/events", "a/events/", "a//events", "/events"]) {
        const url = `${context.origin}/channels/${path}`;
        const answer = await fetch(url, { ...WITH_KEY, redirect: "manual" });
        assert.ok(answer.status >= 400 && answer.status < 500, `${path} ${answer.status}`);
        await answer.text();
      }
    },
  },
  {
    rules: ["N2", "N11"],
    title: "a ticket lets its user read its channels again and again, and no backend is asked",
    server: "auth",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      // A client's own subscription would be refused.
      const channel = context.channel("denied");
      const ticket = await ticketFor({ channels: [`${channel}.*`] });
      const publisher = await context.client({ token: "user:ben" });
      for (let round = 0; round < 2; round++) {
        const client = await read(context, `${channel}.a`, { query: { ticket } });
        await client.event("subscribed");
        await publisher.publish(`${channel}.a`, `${round}`);
        await saying(client, "subscribed", `${round}`);
        client.cut();
      }
      // It is good for nothing else.
      const writing = eventsUrl(context.origin, `${channel}.a`, { ticket });
      assert.equal((await fetch(writing, { method: "POST" })).status, 405);
      const reading = eventsUrl(context.origin, `${channel}.a`);
      const headers = { authorization: `Bearer ${ticket}` };
      assert.equal((await fetch(reading, { headers })).status, 401);
    },
  },
  {
    rules: ["N4", "N6"],
    title:
      "the id of any event, as a header or in the address, goes on behind it: nothing lost, nothing twice",
    server: "backend",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const publisher = await context.client();
      const first = await read(context, channel);
      await first.event("subscribed");
      for (const text of ["1", "2", "3"]) await publisher.publish(channel, text);
      await saying(first, "subscribed", "1", "2", "3");
      first.cut();
      await publisher.publish(channel, "4");
      const ids = first.reader.events.map(({ id }) => id);
      const missed = ["1", "2", "3", "4"];
      const streams = await Promise.all(ids.map((id) => back(context, channel, id)));
      const begun = await Promise.all(streams.map((stream) => stream.event("subscribed")));
      // Who is cut together does not come back together.
      assert.ok(new Set(begun.map(({ retry }) => retry)).size > 1, "no spread");
      const query = { last_event_id: ids[1] ?? "" };
      const byAddress = await read(context, channel, { ...WITH_KEY, query });
      const newer = await read(context, channel, {
        headers: { ...WITH_KEY.headers, "last-event-id": ids[3] ?? "" },
        query,
      });
      for (const [at, stream] of streams.entries()) {
        await saying(stream, "subscribed", ...missed.slice(at));
      }
      await saying(byAddress, "subscribed", "2", "3", "4");
      await saying(newer, "subscribed", "4");
      await publisher.publish(channel, "5");
      for (const [at, stream] of streams.entries()) {
        await saying(stream, "subscribed", ...missed.slice(at), "5");
      }
    },
  },
  {
    rules: ["N6", "N7"],
    title: "what is missing is told before what lies behind it, and an id that is none is no proof",
    server: "rules",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel("short");
      const publisher = await context.client();
      const first = await read(context, channel);
      const { id } = await first.event("subscribed");
      first.cut();
      const all = Array.from({ length: RULES.historySize + 2 }, (_, i) => `${i + 1}`);
      for (const text of all) await publisher.publish(channel, text);
      const rest = [`gap ${channel} head_trimmed`, ...all.slice(2)];
      const second = await back(context, channel, id);
      await saying(second, "subscribed", ...rest);
      const gap = second.reader.events[1];
      assert.equal(gap?.data.until?.offset, "2");
      // Who was cut behind the gap is not told again; who was cut before it is.
      await saying(await back(context, channel, gap?.id ?? ""), "subscribed", ...all.slice(2));
      const begun = second.reader.events[0]?.id ?? "";
      await saying(await back(context, channel, begun), "subscribed", ...rest);
      for (const wrong of ["nonsense", "€-1", `${id}-x`]) {
        const query = { last_event_id: wrong };
        const lost = await read(context, channel, { ...WITH_KEY, query });
        await saying(lost, "subscribed", `gap ${channel} unavailable`);
      }
    },
  },
  {
    rules: ["N1", "N7"],
    title:
      "a pattern goes on in every channel behind its last event, and from the first in new ones",
    server: "backend",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const base = context.channel();
      const publisher = await context.client();
      await publisher.publish(`${base}.a`, "before");
      const first = await read(context, `${base}.*`);
      await first.event("subscribed");
      await publisher.publish(`${base}.a`, "a1");
      await publisher.publish(`${base}.b`, "b1");
      // What was published just before the pattern may still have been on its way.
      await eventually(() => ["a1", "b1"].every((text) => first.reader.texts.includes(text)));
      const id = first.reader.lastEventId ?? "";
      assert.match(id, /^\*[\x21-\x7e]+-\d+,/);
      first.cut();
      for (const [name, text] of [
        ["b", "b2"],
        ["new", "n1"],
        ["a", "a2"],
      ] as const) {
        await publisher.publish(`${base}.${name}`, text);
      }
      const again = await back(context, `${base}.*`, id);
      await texts(again, "a2", "b2", "n1");
      await publisher.publish(`${base}.new`, "n2");
      await texts(again, "a2", "b2", "n1", "n2");
      assert.deepEqual(
        told(again).filter((word) => word.startsWith("gap")),
        [],
      );
      await saying(
        await back(context, `${base}.*`, "nonsense"),
        "subscribed",
        `gap ${base}.* unavailable`,
      );
    },
  },
  {
    rules: ["N7"],
    title: "of channels that an id has no room for something is told, and nothing comes twice",
    server: "backend",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const base = context.channel();
      // Three of these fit into an id.
      const names = ["a", "b", "c", "d", "e"].map((word) => `${base}.${word}${"é".repeat(90)}`);
      const publisher = await context.client();
      const first = await read(context, `${base}.*`);
      await first.event("subscribed");
      for (const name of names) await publisher.publish(name, "1");
      await eventually(() => first.reader.texts.length === names.length);
      const heard = first.reader.messages.map(({ data }) => data.channel ?? "");
      const id = first.reader.lastEventId ?? "";
      assert.ok(id.length <= 2_048 && id.split(",").length < names.length, id);
      first.cut();
      for (const name of names) await publisher.publish(name, "2");
      const again = await back(context, `${base}.*`, id);
      const told = (name: string) =>
        again.reader.events.filter(({ data }) => data.channel === name).map(({ event }) => event);
      await eventually(() => names.every((name) => told(name).length > 0));
      await publisher.publish(names[0] ?? "", "3");
      await eventually(() => again.reader.texts.includes("3"));
      assert.ok(!again.reader.texts.includes("1"), "something came twice");
      assert.deepEqual(told(heard.at(-1) ?? "").slice(0, 1), ["message"]);
      for (const name of names) assert.ok(told(name)[0] === "message" || told(name)[0] === "gap");
      const [gap] = again.reader.named("gap");
      assert.equal(gap?.data.reason, "unavailable");
    },
  },
  {
    rules: ["N3", "N8"],
    title:
      "a server that is full answers with a pause and an end, and not with what clients take for good",
    server: "full",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      context.together();
      const channel = context.channel();
      let late = await back(context, channel, "e-7");
      for (let i = 0; (await firstOf(late)) !== "disconnect"; i++) {
        assert.ok(i < 10 * TIGHT.connections, "never full");
        late = await back(context, channel, "e-7");
      }
      await late.end();
      assert.equal(late.status, 200);
      const [end, ...more] = late.reader.events;
      assert.deepEqual(more, []);
      assert.deepEqual([end?.event, end?.id, end?.data.code], ["disconnect", "e-7", 3504]);
      assert.equal(end?.data.reconnect, true);
      assert.equal(end?.retry, end?.data.retry_after_ms);
    },
  },
  {
    rules: ["N8"],
    title: "a stream that has lived long enough ends with 3512, and goes on from there",
    server: "brief",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const stream = await read(context, channel);
      const end = await stream.event("disconnect");
      await stream.end();
      assert.deepEqual([end.data.code, end.data.reconnect], [3512, true]);
      const again = await back(context, channel, end.id);
      await again.event("subscribed");
      assert.deepEqual(again.reader.named("gap"), []);
    },
  },
  {
    rules: ["N9"],
    title:
      "a reader that says nothing stays, and one that has left is gone within three heartbeats",
    server: "tight",
    kinds: ONE,
    over: "websocket",
    observes: ["stats"],
    async run(context) {
      const channel = context.channel();
      const stream = await read(context, channel);
      await stream.event("subscribed");
      const beats = stream.reader.heartbeats;
      await eventually(() => stream.reader.heartbeats > beats + TIGHT.idleMs / TIGHT.heartbeatMs);
      assert.equal(stream.ended, false);
      const { sessions } = await context.stats();
      stream.cut();
      await eventually(
        () => context.stats(),
        (seen) => seen.sessions < sessions,
        3 * TIGHT.heartbeatMs + LATE_MS,
      );
    },
  },
  {
    rules: ["N10"],
    title: "pages of the server's own host may read, others are refused before any work",
    server: "auth",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const url = eventsUrl(context.origin, channel);
      const asked = { "access-control-request-method": "GET" };
      const own = await fetch(url, { headers: { origin: context.origin } });
      assert.equal(own.status, 401);
      assert.equal(own.headers.get("access-control-allow-origin"), context.origin);
      const preflight = await fetch(url, {
        method: "OPTIONS",
        headers: { origin: context.origin, ...asked },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-headers"), "Last-Event-ID");
      assert.equal(preflight.headers.get("access-control-allow-credentials"), null);
      for (const method of ["GET", "OPTIONS"]) {
        const headers = { origin: "https://elsewhere.example", ...asked };
        const refused = await fetch(url, { method, headers });
        assert.equal(refused.status, 403);
        assert.equal(refused.headers.get("access-control-allow-origin"), null);
        assert.equal(refused.headers.get("vary"), "Origin");
      }
    },
  },
];
