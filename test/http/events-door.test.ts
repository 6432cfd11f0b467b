/** Who may have a stream of events, and what everybody else is answered. */
import { createHash } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { RuleAuthorizer } from "../../src/access/authorizer.ts";
import { type AccessRules, NO_RULES } from "../../src/access/rules.ts";
import { channelPathOf } from "../../src/http/channel-path.ts";
import { type AdmittedEvents, EventsDoor } from "../../src/http/events/door.ts";
import { Keys } from "../../src/http/keys/keys.ts";
import { webSha256 } from "../../src/http/keys/sha256.ts";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { Tickets } from "../../src/http/tickets/tickets.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { rule, rulesOf } from "../access/subjects.ts";
import { EventReader } from "../support/event-reader.ts";

const KEY = `ml_reader_${"k".repeat(43)}`;
const WRITER = `ml_writer_${"w".repeat(43)}`;
const ORIGIN = "https://app.example";
let now = 1_764_000_000_000;
let log: string[];
let opened: AdmittedEvents[];
let tickets: Tickets;
let door: EventsDoor;

beforeEach(() => {
  log = [];
  opened = [];
  const secret = new TextEncoder().encode("a secret that is long enough to sign");
  tickets = new Tickets({ keys: [{ id: "t", secret }], hmac: webHmac, clock });
  door = doorOf(true);
});

const clock = { now: () => now };

function entry(key: string, id: string, right: "read" | "publish") {
  const digest = createHash("sha256").update(key).digest();
  return { id, digest, rights: [right], patterns: ["chat.**"], expiresAt: undefined };
}

interface Asked {
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly subscribes?: boolean;
  readonly rules?: AccessRules;
  readonly open?: (events: AdmittedEvents) => Response;
}

const opens = (events: AdmittedEvents): Response => {
  opened.push(events);
  return new Response("", { headers: { ...events.headers } });
};

function doorOf(subscribes: boolean, access = NO_RULES): EventsDoor {
  const note = (message: string, fields: unknown) =>
    log.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { warn: note, debug: note };
  return new EventsDoor({
    keys: new Keys({
      entries: [entry(KEY, "reader", "read"), entry(WRITER, "writer", "publish")],
      sha256: webSha256,
      clock,
      logger,
    }),
    tickets,
    authorizer: new RuleAuthorizer(access, logger),
    rules: { allowedOrigins: [ORIGIN] },
    subscribes,
    logger,
    random: () => 0.5,
  });
}

async function ask(path: string, asked: Asked = {}): Promise<Response> {
  const { headers = {}, method = "GET", subscribes = true, rules, open = opens } = asked;
  const url = `http://own.example${path}`;
  const channel = channelPathOf(url);
  if (channel?.rest !== "/events") throw new Error("the path is none of the door's");
  const request = new Request(url, { method, headers });
  const used = subscribes && rules === undefined ? door : doorOf(subscribes, rules);
  return await used.answer(request, channel, { address: "192.0.2.1" }, open);
}

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

async function ticketFor(...channels: string[]): Promise<string> {
  return (await tickets.mint({ user: "ada", channels, ttlMs: 60_000 })).ticket;
}

test("a key with the right read opens a stream, of a channel and of a pattern", async () => {
  for (const [path, name] of [
    ["chat.a", "chat.a"],
    ["chat.%C3%A9%2Fb", "chat.é/b"],
    ["chat.%252F", "chat.%2F"],
    ["chat.*", "chat.*"],
    ["chat.%2A%2A", "chat.**"],
  ] as const) {
    const response = await ask(`/channels/${path}/events`, bearer(KEY));
    expect(response.status).toBe(200);
    expect(opened.at(-1)).toMatchObject({ name, userId: "key:reader", address: "192.0.2.1" });
  }
});

test("a ticket opens a stream for its user, again and again", async () => {
  const ticket = await ticketFor("chat.a", "news.*");
  for (const channel of ["chat.a", "chat.a", "news.one", "news.*"]) {
    expect((await ask(`/channels/${channel}/events?ticket=${ticket}`)).status).toBe(200);
  }
  expect(opened.map(({ userId }) => userId)).toEqual(new Array(4).fill("ada"));
});

test("what rules deny holds for the bearer of a ticket, and not for a key", async () => {
  const rules = rulesOf(
    "deny",
    rule("deny", "chat.staff", { users: ["ada"] }),
    rule("deny", "chat.today", { actions: ["history"] }),
  );
  const ticket = await ticketFor("chat.**");
  const status = async (name: string): Promise<number> =>
    (await ask(`/channels/${name}/events?ticket=${ticket}`, { rules })).status;
  expect(await status("chat.a")).toBe(200);
  expect(await status("chat.staff")).toBe(403);
  expect(await status("chat.*")).toBe(403);
  expect((await ask("/channels/chat.staff/events", { ...bearer(KEY), rules })).status).toBe(200);
  // Who may not read what was missed is told that it is missing.
  const from = async (name: string, id: string): Promise<string | undefined> => {
    const query = `ticket=${ticket}&last_event_id=${id}`;
    await ask(`/channels/${name}/events?${query}`, { rules });
    return opened.at(-1)?.lastEventId;
  };
  expect(await from("chat.a", "e-1")).toBe("e-1");
  expect(await from("chat.today", "e-1")).toBe("?");
  expect(await from("chat.today", "")).toBe("");
});

test("every answer is for one client alone, and keeps its address to itself", async () => {
  const ticket = await ticketFor("chat.a");
  const answers = [
    await ask(`/channels/chat.a/events?ticket=${ticket}`),
    await ask("/channels/chat.a/events"),
    await ask("/channels/chat..a/events"),
    await ask("/channels/chat.a/events", { method: "POST" }),
    await ask(`/channels/chat.a/events?ticket=${ticket}`, {
      open: (events) => events.sentAway(DISCONNECTS.goingAway),
    }),
    await ask(`/channels/chat.a/events?ticket=${ticket}`, {
      headers: { origin: "https://else.example" },
    }),
    await ask(`/channels/chat.a/events?ticket=${ticket}`, {
      method: "OPTIONS",
      headers: { origin: ORIGIN, "access-control-request-method": "GET" },
    }),
  ];
  now += 60_000;
  answers.push(await ask(`/channels/chat.a/events?ticket=${ticket}`));
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 400, 405, 200, 403, 204, 204]);
  for (const { headers } of answers) {
    expect(headers.get("Cache-Control")).toBe("no-store, no-transform");
    expect(headers.get("Referrer-Policy")).toBe("no-referrer");
    expect(headers.get("Vary")).toBe("Origin");
  }
  expect(answers[0]?.headers.get("Content-Type")).toBe("text/event-stream");
  expect(answers[4]?.headers.get("Content-Type")).toBe("text/event-stream");
});

test("an expired ticket is 204, which makes an EventSource stop, and opens nothing", async () => {
  const ticket = await ticketFor("chat.a");
  now += 60_000;
  const response = await ask(`/channels/chat.a/events?ticket=${ticket}`);
  expect(response.status).toBe(204);
  expect(await response.text()).toBe("");
  expect((await ask(`/channels/other/events?ticket=${ticket}`)).status).toBe(403);
  expect(opened).toEqual([]);
});

test.each<[string, string, Asked, number, string, string]>([
  ["no key", "chat.a/events", {}, 401, "AUTH_ERROR", "the key is missing"],
  ["a wrong key", "chat.a/events", bearer("ml_x_y"), 401, "AUTH_ERROR", "the key is not valid"],
  ["a key without the right", "chat.a/events", bearer(WRITER), 403, "ACL_ERROR", "right read"],
  ["a key of other channels", "news/events", bearer(KEY), 403, "ACL_ERROR", "other channels"],
  ["a wider pattern", "**/events", bearer(KEY), 403, "ACL_ERROR", "other channels"],
  ["a wrong ticket", "chat.a/events?ticket=mlt.t.x.y", {}, 401, "AUTH_ERROR", "not valid"],
  ["an empty ticket", "chat.a/events?ticket=", bearer(KEY), 401, "AUTH_ERROR", "not valid"],
  [
    "a key in a cookie",
    "chat.a/events",
    { headers: { cookie: `key=${KEY}; authorization=Bearer ${KEY}` } },
    401,
    "AUTH_ERROR",
    "the key is missing",
  ],
  ["no channel", "/events", bearer(KEY), 400, "BAD_REQUEST", "channel is empty"],
  ["an empty word", "a..b/events", bearer(KEY), 400, "BAD_REQUEST", "channel holds an empty word"],
  ["no pattern", "**.a/events", bearer(KEY), 400, "BAD_REQUEST", "only the last word may be **"],
  ["broken escapes", "%zz/events", bearer(KEY), 400, "BAD_REQUEST", "percent-encoded"],
  ["no UTF-8", "%ff/events", bearer(KEY), 400, "BAD_REQUEST", "percent-encoded"],
  ["HEAD", "chat.a/events", { method: "HEAD" }, 405, "METHOD_NOT_ALLOWED", "by GET"],
  [
    "subscribe switched off",
    "chat.a/events",
    { ...bearer(KEY), subscribes: false },
    501,
    "UNIMPLEMENTED",
    "lets no client subscribe",
  ],
])("%s is refused with a code", async (_, path, asked, status, code, message) => {
  const response = await ask(`/channels/${path}`, asked);
  expect(response.status).toBe(status);
  const body = (await response.json()) as { code: string; message: string };
  expect(body).toEqual({ code, message: expect.stringContaining(message) });
  expect(opened).toEqual([]);
});

test("a ticket is for its own channels", async () => {
  const ticket = await ticketFor("chat.a");
  for (const channel of ["chat.b", "chat.*", "**"]) {
    const response = await ask(`/channels/${channel}/events?ticket=${ticket}`);
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({
      code: "ACL_ERROR",
      message: "the ticket is for other channels",
    });
  }
});

test.each([
  [new MessagingError("UNAVAILABLE", "later"), 3504],
  [new MessagingError("RATE_LIMITED", "too much"), 3504],
  [new Error("what nobody foresaw"), 1011],
])("%s is no reason to give up: 200, a pause and an end", async (error, code) => {
  const response = await ask("/channels/chat.a/events", {
    headers: { authorization: `Bearer ${KEY}`, "last-event-id": "e-7" },
    open: () => {
      throw error;
    },
  });
  expect(response.status).toBe(200);
  const reader = new EventReader();
  reader.feed(await response.text());
  expect(reader.heartbeats).toBe(1);
  expect(reader.events).toEqual([
    { event: "disconnect", retry: 5_500, data: expect.objectContaining({ code }), id: "e-7" },
  ]);
});

test("who shows wrong keys too often is sent away for a while, and not by 429, which is for good", async () => {
  const statuses: number[] = [];
  let last = "";
  for (let i = 0; i < 30; i++) {
    const response = await ask("/channels/chat.a/events", bearer("ml_x_wrong"));
    statuses.push(response.status);
    last = await response.text();
  }
  expect(statuses[0]).toBe(401);
  expect(statuses.at(-1)).toBe(200);
  const reader = new EventReader();
  reader.feed(last);
  expect(reader.events).toMatchObject([{ event: "disconnect", data: { code: 3504 }, id: "-" }]);
});

test("the header is newer than the address that a client was made with", async () => {
  const address = "/channels/chat.a/events?last_event_id=e-1";
  await ask(address, bearer(KEY));
  await ask(address, { headers: { ...bearer(KEY).headers, "last-event-id": "e-2" } });
  // One that is empty says nothing: what the address says must not be lost by it.
  await ask(address, { headers: { ...bearer(KEY).headers, "last-event-id": "" } });
  await ask("/channels/chat.a/events?last_event_id=%2Ae-1%2Cchat.a%3De-2", bearer(KEY));
  const ids = opened.map(({ lastEventId }) => lastEventId);
  expect(ids).toEqual(["e-1", "e-2", "e-1", "*e-1,chat.a=e-2"]);
});

test("a page of an origin that is allowed is told so, and one of any other is refused before any work", async () => {
  const ticket = await ticketFor("chat.a");
  const path = `/channels/chat.a/events?ticket=${ticket}`;
  const allowed = await ask(path, { headers: { origin: ORIGIN } });
  expect(allowed.headers.get("Access-Control-Allow-Origin")).toBe(ORIGIN);
  const wrong = await ask("/channels/chat.a/events?ticket=x", { headers: { origin: ORIGIN } });
  expect(wrong.headers.get("Access-Control-Allow-Origin")).toBe(ORIGIN);
  const foreign = await ask(path, { headers: { origin: "https://else.example" } });
  expect(foreign.status).toBe(403);
  expect(await foreign.json()).toEqual({
    code: "ACL_ERROR",
    message: "pages of this origin may not read events",
  });
  expect(opened).toHaveLength(1);
  const preflight = await ask(path, {
    method: "OPTIONS",
    headers: { origin: ORIGIN, "access-control-request-method": "GET" },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("Access-Control-Allow-Headers")).toBe("Last-Event-ID");
  expect(preflight.headers.get("Access-Control-Allow-Credentials")).toBeNull();
});

test("no ticket reaches a log or an answer, whatever becomes of it", async () => {
  const ticket = await ticketFor("chat.a");
  const [, , claims = "", mac = ""] = ticket.split(".");
  const said: string[] = [];
  for (const [path, headers] of [
    [`chat.a/events?ticket=${ticket}`, {}],
    [`chat.b/events?ticket=${ticket}`, {}],
    [`chat..b/events?ticket=${ticket}`, {}],
    [`chat.a/events?ticket=${ticket}x`, {}],
    [`chat.a/events?ticket=${ticket}`, { origin: "https://else.example" }],
  ] as const) {
    const response = await ask(`/channels/${path}`, { headers });
    said.push(await response.text(), JSON.stringify([...response.headers]));
  }
  const failing = await ask(`/channels/chat.a/events?ticket=${ticket}`, {
    open: () => {
      throw new Error("what nobody foresaw");
    },
  });
  said.push(await failing.text());
  now += 60_000;
  await ask(`/channels/chat.a/events?ticket=${ticket}`);
  const all = `${said.join("\n")}\n${log.join("\n")}`;
  expect(all).toContain("the ticket is not valid");
  expect(all).not.toContain(claims);
  expect(all).not.toContain(mac);
});
