/** History by URL: pages, who may read them, who may keep them, and what is there no more. */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { type Case, type Context, ONE } from "../case.ts";
import { API_KEY, PUBLISHER_KEY, ticketFor } from "../keys.ts";
import { RULES, USER_CONNECTIONS } from "../variants.ts";

const KEY = { authorization: `Bearer ${API_KEY}` };

interface Asked {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
}

interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** What its messages say. */
  readonly texts: readonly string[];
  /** Where the next one begins; empty where it does not say. */
  readonly next: string;
}

/** Reads with the suite's key, unless something else is shown. */
async function page(context: Context, channel: string, asked: Asked = {}): Promise<Page> {
  const { query = {}, headers = KEY, method = "GET" } = asked;
  const search = new URLSearchParams(query);
  const url = `${context.origin}/channels/${encodeURIComponent(channel)}/history?${search}`;
  const answer = await fetch(url, { headers, method, redirect: "manual" });
  const body = await answer.text();
  const lines = answer.status === 200 ? body.split("\n").slice(0, -1) : [];
  return {
    status: answer.status,
    headers: answer.headers,
    body,
    texts: lines.map((line) => JSON.parse(line).payload.text_data),
    next: answer.headers.get("stream-next-offset") ?? "",
  };
}

function refused({ status, body }: Page, wanted: number, code: string): void {
  assert.deepEqual([status, JSON.parse(body).code], [wanted, code]);
}

async function published(context: Context, channel: string, count: number): Promise<string[]> {
  const publisher = await context.client();
  const texts = Array.from({ length: count }, (_, at) => `${at + 1}`);
  for (const text of texts) await publisher.publish(channel, text);
  return texts;
}

export const historyUrlCases: readonly Case[] = [
  {
    rules: ["J1", "J2"],
    title: "pages are lines of JSON, and each says where the next one begins",
    server: "backend",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = `${context.channel()}.é/ü %`;
      const empty = await page(context, channel);
      assert.deepEqual([empty.status, empty.body], [200, ""]);
      const all = await published(context, channel, 5);
      const whole = await page(context, channel, { query: { offset: "-1" } });
      assert.equal(whole.headers.get("content-type"), "application/x-ndjson");
      assert.deepEqual(whole.texts, all);
      assert.equal(whole.headers.get("stream-up-to-date"), "true");
      const seen: string[] = [];
      const offsets: string[] = [];
      for (let at = await page(context, channel, { query: { limit: "2" } }); ; ) {
        seen.push(...at.texts);
        offsets.push(at.next);
        if (at.headers.has("stream-up-to-date")) break;
        assert.equal(at.texts.length, 2);
        at = await page(context, channel, { query: { limit: "2", offset: at.next } });
      }
      assert.deepEqual(seen, all);
      assert.deepEqual(offsets, offsets.toSorted());
      assert.equal(offsets.at(-1), whole.next);
      // A message's id is a place as well.
      const [first = ""] = whole.body.split("\n");
      const { id, channel: named, epoch } = JSON.parse(first);
      assert.deepEqual([named, id], [channel, `${epoch}-1`]);
      assert.deepEqual(
        (await page(context, channel, { query: { offset: id } })).texts,
        all.slice(1),
      );
      const now = await page(context, channel, { query: { offset: "now" } });
      assert.deepEqual([now.texts, now.next], [[], whole.next]);
      const head = await page(context, channel, { method: "HEAD" });
      assert.deepEqual([head.status, head.body, head.next], [200, "", whole.next]);
      const tag = whole.headers.get("etag") ?? "";
      const again = await page(context, channel, { headers: { ...KEY, "if-none-match": tag } });
      assert.deepEqual([again.status, again.body], [304, ""]);
    },
  },
  {
    rules: ["J3"],
    title: "a key or a ticket for the channel reads, and all others are refused",
    server: "ruled",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel("open");
      const forgetful = context.channel("open.forgetful");
      const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
      const ticket = async (...channels: string[]) => ({
        query: { ticket: await ticketFor({ channels }) },
        headers: {},
      });
      assert.equal((await page(context, channel)).status, 200);
      assert.equal((await page(context, channel, await ticket("open.**"))).status, 200);
      refused(await page(context, channel, { headers: {} }), 401, "AUTH_ERROR");
      refused(await page(context, channel, bearer("ml_nobody_x")), 401, "AUTH_ERROR");
      refused(await page(context, channel, bearer(PUBLISHER_KEY)), 403, "ACL_ERROR");
      refused(await page(context, channel, await ticket("elsewhere.**")), 403, "ACL_ERROR");
      refused(await page(context, forgetful, await ticket("open.**")), 403, "ACL_ERROR");
      const old = await ticketFor({ channels: ["open.**"], ttlMs: 1_000, age: 2_000 });
      const expired = await page(context, channel, { query: { ticket: old }, headers: {} });
      refused(expired, 401, "AUTH_ERROR");
    },
  },
  {
    rules: ["J3", "X3"],
    title: "a ticket that was made before its user's tokens were revoked reads nothing",
    server: "auth",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const user = `ann-${crypto.randomUUID()}`;
      const shown = async (age = 0) => ({
        query: { ticket: await ticketFor({ user, channels: [channel], age }) },
        headers: {},
      });
      const old = await shown();
      assert.equal((await page(context, channel, old)).status, 200);
      const live = { live: "long-poll", offset: "now" };
      const poll = page(context, channel, { ...old, query: { ...old.query, ...live } });
      const application = await context.client({ token: "user:application" });
      await application.rpc("revoke", JSON.stringify({ user }));
      refused(await poll, 401, "AUTH_ERROR");
      refused(await page(context, channel, old), 401, "AUTH_ERROR");
      assert.equal((await page(context, channel, await shown(-2_000))).status, 200);
    },
  },
  {
    rules: ["J6", "X4"],
    title: "a long poll is a connection of its user, and one too many is to come back later",
    server: "counted",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const user = `ben-${crypto.randomUUID()}`;
      for (let count = 0; count < USER_CONNECTIONS; count++) {
        await context.client({ token: `user:${user}` });
      }
      const ticket = await ticketFor({ user, channels: [channel] });
      const query = { ticket, live: "long-poll", offset: "now" };
      const poll = await page(context, channel, { query, headers: {} });
      refused(poll, 429, "RATE_LIMITED");
      assert.match(poll.headers.get("retry-after") ?? "", /^[1-5]$/);
    },
  },
  {
    rules: ["J4"],
    title:
      "what is kept no more, or was never there, is gone, and the answer says where the rest begins",
    server: "rules",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel("short");
      const all = await published(context, channel, RULES.historySize + 2);
      const kept = await page(context, channel);
      assert.deepEqual(kept.texts, all.slice(2));
      const [epoch = ""] = kept.next.split("-");
      for (const offset of [`${epoch}-0`, `${epoch}-1`, `${epoch}-99`, "another-1"]) {
        const gone = await page(context, channel, { query: { offset } });
        refused(gone, 410, "GONE");
        assert.equal(gone.headers.get("cache-control"), "no-store");
        const rest = await page(context, channel, { query: { offset: gone.next } });
        assert.deepEqual(rest.texts, all.slice(2));
      }
    },
  },
  {
    rules: ["J3", "J5"],
    title: "caches keep full pages behind a position of public channels, and nothing else",
    server: "rules",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const cached = async (channel: string, query: Record<string, string>, headers = {}) =>
        (await page(context, channel, { query, headers })).headers.get("cache-control");
      const secret = context.channel("short");
      await published(context, secret, 3);
      const first = await page(context, secret, { query: { limit: "1" } });
      const query = { limit: "1", offset: first.next };
      assert.equal(await cached(secret, query, KEY), "private, no-store");
      const open = context.channel("public");
      await published(context, open, 3);
      const origin = { origin: "https://anywhere.example" };
      const begun = await page(context, open, { query: { limit: "1" }, headers: origin });
      assert.equal(begun.headers.get("cache-control"), "no-store");
      assert.equal(begun.headers.get("access-control-allow-origin"), "*");
      assert.equal(begun.headers.get("vary"), null);
      const full = await cached(open, { limit: "1", offset: begun.next });
      assert.match(full ?? "", /^public, max-age=[1-9]\d+, immutable$/);
      assert.equal(await cached(open, { offset: begun.next }), "no-store");
      // What is shown all the same has to be valid.
      const wrong = { authorization: "Bearer ml_nobody_x" };
      refused(await page(context, open, { headers: wrong }), 401, "AUTH_ERROR");
    },
  },
  {
    rules: ["J6"],
    title: "a long poll waits for the next message, and takes at once what is there",
    server: "backend",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      const [only = ""] = await published(context, channel, 1);
      const live = { live: "long-poll" };
      const there = await page(context, channel, { query: { ...live, offset: "-1" } });
      assert.deepEqual(there.texts, [only]);
      const publisher = await context.client();
      const polls = ["now", there.next].map((offset) =>
        page(context, channel, { query: { ...live, offset } }),
      );
      let isOver = false;
      const answers = Promise.all(polls).finally(() => {
        isOver = true;
      });
      // When a poll has begun to wait is not seen from here.
      for (let count = 1; !isOver; count++) {
        await publisher.publish(channel, `next ${count}`);
        await setTimeout(50);
      }
      const [now, next] = await answers;
      for (const answer of [now, next]) {
        assert.equal(answer?.status, 200);
        assert.equal(answer?.headers.get("cache-control"), "private, no-store");
        assert.match(answer?.texts[0] ?? "", /^next \d+$/);
      }
      assert.equal(next?.texts[0], "next 1");
      refused(await page(context, channel, { query: live }), 400, "BAD_REQUEST");
    },
  },
  {
    rules: ["J1", "J7"],
    title: "what is no request for history is refused with a code",
    server: "rules",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      const channel = context.channel();
      for (const query of [
        { offset: "" },
        { offset: "nonsense" },
        { offset: "a,b-1" },
        { limit: "0" },
        { limit: "513" },
        { limit: "one" },
        { offset: "-1", live: "sse" },
      ]) {
        refused(await page(context, channel, { query }), 400, "BAD_REQUEST");
      }
      refused(await page(context, `${channel}.*`), 400, "BAD_REQUEST");
      refused(await page(context, context.channel("transient")), 400, "BAD_REQUEST");
      for (const method of ["PUT", "DELETE", "POST"]) {
        const answer = await page(context, channel, { method });
        refused(answer, 405, "METHOD_NOT_ALLOWED");
        assert.equal(answer.headers.get("allow"), "GET, HEAD");
      }
      const elsewhere = { ...KEY, origin: "https://elsewhere.example" };
      refused(await page(context, channel, { headers: elsewhere }), 403, "ACL_ERROR");
    },
  },
  {
    rules: ["J7"],
    title: "a deployment that has switched history off has none by URL either",
    server: "tight",
    kinds: ONE,
    over: "websocket",
    async run(context) {
      refused(await page(context, context.channel()), 501, "UNIMPLEMENTED");
    },
  },
];
