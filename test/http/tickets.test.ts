/** Tickets: what they are good for, for how long, and what a forger can do. */
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { readSettings } from "../../src/engine/settings/secrets.ts";
import { type SettingsError, table } from "../../src/engine/settings/settings.ts";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { ticketKeyEntries } from "../../src/http/tickets/settings.ts";
import { type TicketKey, type TicketRequest, Tickets } from "../../src/http/tickets/tickets.ts";
import { MAX_TICKET_LENGTH } from "../../src/protocol/limits.ts";

const OLD = { id: "old", secret: new TextEncoder().encode("the secret of last month, long") };
const NEW = { id: "new-1", secret: new TextEncoder().encode("the secret of this month, long") };
const REQUEST: TicketRequest = { user: "ü1", channels: ["chat.lobby", "news.*"], ttlMs: 60_000 };

let now = 1_764_000_000_000;
const clock = { now: () => now };

function tickets(...keys: readonly (typeof OLD)[]): Tickets {
  return new Tickets({ keys, hmac: webHmac, clock });
}

/** What is said of something that is refused. */
async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "taken",
    (error: { code?: string; message?: string }) => `${error.code}: ${error.message}`,
  );
}

test("a ticket says who its bearer is, and is good for its channels alone", async () => {
  const { ticket, expiresAt } = await tickets(NEW).mint(REQUEST);
  expect(ticket).toMatch(/^mlt\.new-1\.[\w-]+\.[\w-]+$/);
  expect(expiresAt).toBe(now + 60_000);
  const read = await tickets(NEW).read(ticket);
  expect(read.user).toBe("ü1");
  expect(read.expired).toBe(false);
  const tried = ["chat.lobby", "news.one", "news.*", "chat.other", "news.**", "news.a.b", "**"];
  expect(tried.filter((channel) => read.isFor(channel))).toEqual([
    "chat.lobby",
    "news.one",
    "news.*",
  ]);
});

test("the MAC is HMAC-SHA256 of everything that stands before it", async () => {
  const { ticket } = await tickets(NEW).mint(REQUEST);
  const [, signed = "", mac] = /^(.*)\.([^.]*)$/.exec(ticket) ?? [];
  expect(mac).toBe(createHmac("sha256", NEW.secret).update(signed).digest("base64url"));
});

test("keys rotate: the first signs, and tickets of the others are good until their key has gone", async () => {
  const { ticket } = await tickets(OLD).mint(REQUEST);
  const both = tickets(NEW, OLD);
  expect((await both.read(ticket)).user).toBe("ü1");
  expect((await both.mint(REQUEST)).ticket).toMatch(/^mlt\.new-1\./);
  expect(await refusal(tickets(NEW).read(ticket))).toBe("AUTH_ERROR: the ticket is not valid");
});

test("a ticket is good until it expires, and expiry is told apart from forgery", async () => {
  const { ticket } = await tickets(NEW).mint(REQUEST);
  now += 59_999;
  expect((await tickets(NEW).read(ticket)).expired).toBe(false);
  now += 1;
  expect((await tickets(NEW).read(ticket)).expired).toBe(true);
});

test("a ticket of which any character has changed is none, and nothing of it is repeated", async () => {
  const { ticket } = await tickets(NEW, OLD).mint(REQUEST);
  for (let at = 0; at < ticket.length; at++) {
    const other = ticket[at] === "A" ? "B" : "A";
    const forged = `${ticket.slice(0, at)}${other}${ticket.slice(at + 1)}`;
    const lastBits = at === ticket.length - 1;
    // The last character of 32 bytes in base64 has two bits that mean nothing.
    if (!lastBits) {
      expect(await refusal(tickets(NEW, OLD).read(forged)), `at ${at}`).toBe(
        "AUTH_ERROR: the ticket is not valid",
      );
    }
  }
});

test.each([
  "",
  "mlt",
  "mlt.new-1",
  "mlt.new-1..",
  "mlt.new-1.e30.",
  "mlt.new-1.e30.AAAA",
  "xyz.new-1.e30.AAAA",
  "mlt.nobody.e30.AAAA",
  "mlt.new-1.e30.A",
  `mlt.new-1.e30.${"A".repeat(5_000)}`,
  "mlt.new-1.\u0000.AAAA",
])("%s is no ticket", async (text) => {
  expect(await refusal(tickets(NEW).read(text))).toBe("AUTH_ERROR: the ticket is not valid");
});

test.each<[Partial<TicketRequest>, string]>([
  [{ channels: [] }, "a ticket is for a channel at least"],
  [{ channels: new Array(33).fill("a") }, "a ticket is for at most 32 channels and patterns"],
  [{ channels: ["a", "b..c"] }, "channel holds an empty word"],
  [{ channels: ["**.a"] }, "only the last word may be **"],
  [{ ttlMs: 999 }, "ttl must be 1000 to 600000 ms"],
  [{ ttlMs: 600_001 }, "ttl must be 1000 to 600000 ms"],
  [{ ttlMs: Number.NaN }, "ttl must be 1000 to 600000 ms"],
  [{ user: "x".repeat(256) }, "user is longer than 255 bytes"],
  [{ user: "\ud800" }, "user is not valid Unicode"],
  [
    { channels: Array.from({ length: 32 }, (_, i) => `${i}`.padEnd(255, "x")) },
    "the names of the channels are too long for one ticket",
  ],
])("%o is refused", async (change, reason) => {
  const wanted = { ...REQUEST, ...change };
  expect(await refusal(tickets(NEW).mint(wanted))).toBe(`BAD_REQUEST: ${reason}`);
});

test("the largest ticket fits into a URL", async () => {
  const channels = Array.from({ length: 11 }, (_, i) => `${i}`.padEnd(255, "x"));
  const { ticket } = await tickets(NEW).mint({ ...REQUEST, channels });
  expect(ticket.length).toBeGreaterThan(3_500);
  expect(ticket.length).toBeLessThanOrEqual(MAX_TICKET_LENGTH);
  expect(encodeURIComponent(ticket)).toBe(ticket);
});

test("without a key there are no tickets", async () => {
  expect(await refusal(tickets().mint(REQUEST))).toMatch(/^UNIMPLEMENTED: /);
  const { ticket } = await tickets(NEW).mint(REQUEST);
  expect(await refusal(tickets().read(ticket))).toMatch(/^AUTH_ERROR: /);
});

/** Keys out of a secret. */
function parseTicketKeys(text: string): readonly TicketKey[] {
  const schema = table({ keys: ticketKeyEntries });
  const secrets = { named: () => text };
  return readSettings(schema, { keys: { secret: "KEYS" } }, "worker", secrets).keys;
}

test("keys come out of one text, the first of them to sign", async () => {
  const secret = "s".repeat(32);
  const keys = parseTicketKeys(
    JSON.stringify([
      { id: "b", secret },
      { id: "a", secret },
    ]),
  );
  expect(keys.map(({ id }) => id)).toEqual(["b", "a"]);
  expect(parseTicketKeys(JSON.stringify({ id: "b", secret }))).toEqual([keys[0]]);
});

test.each([
  ["no json", "keys: must be a list as JSON in the secret KEYS"],
  ['[{"id":"a","secret":"short and secret"}]', "0.secret: must be a text of at least 32"],
  ['[{"id":"a b","secret":"secretsecretsecretsecretsecretse"}]', "0.id: must be at most 32"],
  ['[{"id":"a"}]', "0.secret: "],
  [JSON.stringify(new Array(2).fill({ id: "a", secret: "s".repeat(32) })), "two keys of one id"],
])("%s is no list of keys, and nothing of it is repeated", (text, reason) => {
  let said = "";
  try {
    parseTicketKeys(text);
  } catch (error) {
    const { problems } = error as SettingsError;
    said = problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
  }
  expect(said).toContain(reason);
  expect(said).not.toContain("short and secret");
});
