/** History by URL, beyond what the conformance suite shows of any host: time that passes, what ends a wait, and removed messages. */
import { expect, test } from "vitest";
import { RuleAuthorizer } from "../../src/access/authorizer.ts";
import { NO_RULES } from "../../src/access/rules.ts";
import { type ChannelRules, DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { channelPathOf } from "../../src/http/channel-path.ts";
import { HistoryDoor } from "../../src/http/history/door.ts";
import type { OpenTail, TailTerms } from "../../src/http/history/tail.ts";
import { Keys } from "../../src/http/keys/keys.ts";
import { webSha256 } from "../../src/http/keys/sha256.ts";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { Tickets } from "../../src/http/tickets/tickets.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { LONG_POLL_MS } from "../../src/protocol/limits.ts";
import { EventWorld } from "./event-world.ts";

/** A door to channels that are all public, over a real engine, with a clock and timers that the test turns. */
class HistoryWorld extends EventWorld {
  readonly timers: { readonly ms: number; readonly callback: () => void }[] = [];
  /** Those that wait. */
  readonly tails: TailTerms[] = [];
  refuses: MessagingError | undefined;
  readonly #door: HistoryDoor;

  constructor(rules: Partial<ChannelRules> = {}) {
    super(rules);
    const logger = { warn: () => {} };
    this.#door = new HistoryDoor({
      keys: new Keys({ entries: [], sha256: webSha256, clock: this.clock, logger }),
      tickets: new Tickets({ keys: [], hmac: webHmac, clock: this.clock }),
      authorizer: new RuleAuthorizer(NO_RULES, logger),
      rules: {},
      channels: new RuleBook([], { ...DEFAULT_CHANNEL_RULES, public: true, ...rules }),
      disabled: [],
      clock: this.clock,
      timers: {
        after: (ms, callback) => {
          const timer = { ms, callback };
          this.timers.push(timer);
          return () => this.timers.splice(this.timers.indexOf(timer), 1);
        },
      },
      logger,
    });
  }

  async get(query = ""): Promise<Response> {
    const url = `http://own.example/channels/room/history${query}`;
    const path = channelPathOf(url);
    if (path === undefined) throw new Error("no path of a channel");
    return await this.#door.answer(
      new Request(url),
      path,
      { address: "192.0.2.1" },
      {
        history: (channel, filter) => this.engine.broker.history(channel, filter),
        open: this.#open,
        revoked: async () => false,
      },
    );
  }

  /** A request that has begun to wait. */
  async polls(offset: string): Promise<{ readonly answer: Promise<Response> }> {
    const answer = this.get(`?live=long-poll&offset=${offset}`);
    await this.settle();
    expect(this.tails).toHaveLength(1);
    return { answer };
  }

  readonly #open: OpenTail = async (terms) => {
    if (this.refuses !== undefined) throw this.refuses;
    const peer = { address: terms.address, admitted: { userId: terms.userId } };
    const transport = { write: terms.take, close: terms.ended };
    const session = this.engine.accept(transport, `tail-${this.clock.time}`, "json", peer);
    this.tails.push(terms);
    await session.receiveMessage(terms.connect, 0);
    return () => {
      this.tails.splice(this.tails.indexOf(terms), 1);
      session.end(true);
    };
  };
}

const nextOf = (answer: Response): string => answer.headers.get("stream-next-offset") ?? "";

async function textsOf(answer: Response): Promise<string[]> {
  const lines = (await answer.text()).split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line).payload.text_data);
}

test("a long poll without a message ends with 204 after 25 seconds, where the channel is", async () => {
  const world = new HistoryWorld();
  await world.publish("room", "1");
  const { answer } = await world.polls("now");
  expect(world.timers.map(({ ms }) => ms)).toEqual([LONG_POLL_MS]);
  world.timers[0]?.callback();
  const { status, headers } = await answer;
  expect([status, headers.get("stream-up-to-date")]).toEqual([204, "true"]);
  expect(nextOf(await answer)).toBe(nextOf(await world.get()));
  expect([world.timers, world.tails, world.engine.sessionCount]).toEqual([[], [], 0]);
});

test("an end that the server gives a poll's session is its answer, so that no client asks again at once", async () => {
  const { channelLimit, connectionLimit, forceDisconnect, goingAway, internal, invalidToken } =
    DISCONNECTS;
  for (const [disconnect, status, code] of [
    [connectionLimit, 429, "RATE_LIMITED"],
    [internal, 503, "UNAVAILABLE"],
    [invalidToken, 401, "AUTH_ERROR"],
    [forceDisconnect, 403, "ACL_ERROR"],
    [channelLimit, 403, "ACL_ERROR"],
    [goingAway, 204, undefined],
    [undefined, 204, undefined],
  ] as const) {
    const world = new HistoryWorld();
    const { answer } = await world.polls("now");
    world.tails[0]?.ended(disconnect);
    const response = await answer;
    const body = await response.text();
    expect([response.status, body === "" ? undefined : JSON.parse(body).code]).toEqual([
      status,
      code,
    ]);
    const pauses = status === 429 || status === 503;
    expect(response.headers.has("retry-after")).toBe(pauses);
    expect([world.timers, world.tails, world.engine.sessionCount]).toEqual([[], [], 0]);
  }
});

test("a message that comes while a poll is being set up ends it", async () => {
  const world = new HistoryWorld();
  await world.publish("room", "1");
  const { history } = world.engine.broker;
  // The page is read, and before the session is there another message is.
  let reads = 0;
  world.engine.broker.history = async (...asked) => {
    reads += 1;
    const page = await history.apply(world.engine.broker, asked);
    if (reads === 1) await world.publish("room", "2");
    return page;
  };
  const answer = await world.get("?live=long-poll&offset=now");
  expect([answer.status, await textsOf(answer)]).toEqual([200, ["2"]]);
});

test("what is outside of the log ends no poll, and neither does another channel", async () => {
  const world = new HistoryWorld();
  const { answer } = await world.polls("-1");
  await world.transmit("room", "transient");
  await world.publish("elsewhere", "1");
  await world.settle();
  expect(world.tails).toHaveLength(1);
  await world.publish("room", "1");
  expect(await textsOf(await answer)).toEqual(["1"]);
});

test("the end of a session ends its poll, and so does a client that has left", async () => {
  const world = new HistoryWorld();
  const { answer } = await world.polls("-1");
  world.tails[0]?.ended();
  expect((await answer).status).toBe(204);
  expect(world.engine.sessionCount).toBe(0);
});

test("a poll waits in channels that recover nothing as well", async () => {
  const world = new HistoryWorld({ recovery: false });
  const { answer } = await world.polls("-1");
  await world.publish("room", "1");
  expect(await textsOf(await answer)).toEqual(["1"]);
});

test("a host that takes no more says when to come back, and keeps no timer", async () => {
  const world = new HistoryWorld();
  const metadata = { retry_after_ms: 1_500 };
  world.refuses = new MessagingError("RATE_LIMITED", "full", { metadata });
  const answer = await world.get("?live=long-poll&offset=-1");
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "2"]);
  expect(world.timers).toEqual([]);
});

test("removed messages are gone, and so are those that have expired", async () => {
  const world = new HistoryWorld({ historyTtlMs: 60_000, positionTtlMs: 600_000 });
  await world.publish("room", "1");
  await world.publish("room", "2");
  const next = nextOf(await world.get("?limit=1"));
  await world.engine.removeHistory("room");
  const removed = await world.get(`?offset=${next}`);
  expect([removed.status, ((await removed.json()) as { code: string }).code]).toEqual([
    410,
    "GONE",
  ]);
  await world.publish("room", "3");
  const third = await world.get(`?offset=${nextOf(removed)}`);
  expect(await textsOf(third)).toEqual(["3"]);
  await world.publish("room", "4");
  world.clock.time += 61_000;
  expect((await world.get(`?offset=${nextOf(third)}`)).status).toBe(410);
});

test("a cache keeps a page no longer than history would hold its first message", async () => {
  const world = new HistoryWorld({ historyTtlMs: 60_000, positionTtlMs: 60_000 });
  for (const text of ["1", "2", "3"]) await world.publish("room", text);
  const next = nextOf(await world.get("?limit=1"));
  world.clock.time += 20_000;
  const page = await world.get(`?limit=1&offset=${next}`);
  expect(page.headers.get("cache-control")).toBe("public, max-age=39, immutable");
});
