/** Tokens that are revoked, and users with too many connections, on one node. */
import { expect, test } from "vitest";
import { MemoryDirectory } from "../../src/brokers/memory/directory.ts";
import { MemoryRevocations } from "../../src/brokers/memory/revocations.ts";
import { RevocationList } from "../../src/brokers/revocations/list.ts";
import { SubscriptionConsent } from "../../src/engine/ports/backends.ts";
import type { JoinAnswer } from "../../src/engine/ports/directory.ts";
import type { Identity } from "../../src/engine/ports/identity.ts";
import type { EndRevoked, Revocation } from "../../src/engine/ports/revocations.ts";
import { MAX_REVOCATION_MS, MAX_REVOCATIONS } from "../../src/protocol/limits.ts";
import { nextTurn } from "../support/platform.ts";
import {
  connectWith,
  kinds,
  QuietBroker,
  type SceneOptions,
  ScriptedTransport,
  sceneWith,
  send,
} from "./scene.ts";

const START = 1_000_000;
const DAY_MS = 86_400_000;

/** A node in memory, whose tokens are JSON of what they stand for. */
function node(options: SceneOptions = {}) {
  let now = (): number => START;
  const directory = new MemoryDirectory({
    channels: () => [],
    now: () => now(),
    nextTurn: (callback) => setImmediate(callback),
  });
  const revocations = new MemoryRevocations(() => now());
  const broker = Object.assign(new QuietBroker(), { directory, revocations });
  const all = sceneWith(broker, {
    backends: { authenticate: async ({ token }): Promise<Identity> => JSON.parse(token) },
    ...options,
  });
  now = all.clock.now;
  let sessions = 0;
  const client = async (identity: Identity | undefined, capabilities = ["control", "refresh"]) => {
    sessions += 1;
    const transport = new ScriptedTransport();
    const session = all.engine.accept(transport, `n.${sessions}`, "json");
    await connectWith(session, { capabilities, token: JSON.stringify(identity) });
    return { session, transport };
  };
  return { ...all, client };
}

test("a revoked token ends its session and no other, and is refused from then on", async () => {
  const { client, engine } = node();
  const [first, second, other, old] = [
    await client({ userId: "ann", tokenId: "one" }),
    await client({ userId: "ann", tokenId: "two" }),
    await client({ userId: "bob", tokenId: "one" }),
    await client({ userId: "ann", tokenId: "one" }, []),
  ];
  expect(await engine.revoke("ann", { tokenId: "one" })).toEqual({ durable: false });
  expect(kinds(first.transport)).toEqual(["connected", "disconnect"]);
  expect(first.transport.closed).toMatchObject({ code: 3500, reason: "invalid token" });
  expect(kinds(old.transport)).toEqual(["connected"]);
  expect(old.transport.closed?.code).toBe(3500);
  expect([second, other].map(({ transport }) => transport.closed)).toEqual([undefined, undefined]);
  const again = await client({ userId: "ann", tokenId: "one" });
  expect(kinds(again.transport)).toEqual(["error AUTH_ERROR"]);
  expect(again.transport.closed?.code).toBe(3500);
  await client({ userId: "bob", tokenId: "one" });
  expect(engine.sessionCount).toBe(4);
});

test("a session that waits to hear whether it may enter is not ended before it is told why it may not", async () => {
  const answer = Promise.withResolvers<JoinAnswer>();
  let end: EndRevoked = () => {};
  const broker = Object.assign(new QuietBroker(), {
    directory: Object.assign(
      new MemoryDirectory({ channels: () => [], now: () => START, nextTurn: setImmediate }),
      { join: () => answer.promise },
    ),
    revocations: Object.assign(new MemoryRevocations(() => START), {
      start: (given: EndRevoked) => {
        end = given;
      },
    }),
  });
  const { engine } = sceneWith(broker, {
    backends: { authenticate: async ({ token }): Promise<Identity> => JSON.parse(token) },
  });
  const revoked = { userId: "ann", tokenId: "one", time: START, until: START + DAY_MS };
  const [waiting, other] = [new ScriptedTransport(), new ScriptedTransport()];
  const token = JSON.stringify({ userId: "ann", tokenId: "one" });
  const connecting = [waiting, other].map((transport, i) =>
    connectWith(engine.accept(transport, `s.${i}`, "json"), { token }),
  );
  await nextTurn();
  end([revoked], new Set(["s.0"]));
  expect([waiting, other].map(({ closed }) => closed?.code)).toEqual([undefined, 3500]);
  answer.resolve({ full: false, revocations: [revoked] });
  await Promise.all(connecting);
  expect(kinds(waiting)).toEqual(["error AUTH_ERROR"]);
  expect(waiting.closed?.code).toBe(3500);
});

test("all tokens of a user are revoked that were issued up to then, and those that do not say", async () => {
  const { client, clock, engine } = node();
  const live = await Promise.all(
    [START - 1, START, 0, undefined].map((issuedAt) =>
      client(issuedAt === undefined ? { userId: "ann" } : { userId: "ann", issuedAt }),
    ),
  );
  const later = await client({ userId: "ann", issuedAt: START + 1 });
  await engine.revoke("ann");
  expect(live.map(({ transport }) => transport.closed?.code)).toEqual([3500, 3500, 3500, 3500]);
  expect(later.transport.closed).toBeUndefined();
  for (const issuedAt of [0, START]) {
    const refused = await client({ userId: "ann", issuedAt });
    expect(kinds(refused.transport)).toEqual(["error AUTH_ERROR"]);
  }
  clock.time += 1;
  // Its authenticator has been asked after that, and vouches for it.
  const vouched = await client({ userId: "ann" });
  expect(kinds(vouched.transport)).toEqual(["connected"]);
});

test("a session that has slept is found by its token and by its age", async () => {
  const { client, engine } = node();
  const sleeper = await client({ userId: "ann", tokenId: "one", issuedAt: START + 5 });
  const record = sleeper.session.record();
  sleeper.session.end(true);
  const [one, two] = [new ScriptedTransport(), new ScriptedTransport()];
  engine.restore(one, record);
  await engine.revoke("ann");
  expect(one.closed).toBeUndefined();
  await engine.revoke("ann", { tokenId: "one" });
  expect(one.closed?.code).toBe(3500);
  engine.restore(two, { ...record, identity: undefined });
  await engine.revoke("ann");
  expect(two.closed?.code).toBe(3500);
});

test("a client that is being connected does not slip through", async () => {
  const { promise: decided, resolve: decide } = Promise.withResolvers<void>();
  const { client, engine } = node({
    backends: {
      authenticate: async ({ token }): Promise<Identity> => JSON.parse(token),
      authorizeSubscribe: () => decided,
    },
  });
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, "slow", "json");
  const token = JSON.stringify({ userId: "ann" });
  const connecting = connectWith(session, { token, subscriptions: [{ channel: "a" }] });
  await new Promise(setImmediate);
  await engine.revoke("ann");
  decide();
  await connecting;
  expect(kinds(transport)).toEqual([]);
  expect(transport.closed?.code).toBe(3500);
  expect((await client({ userId: "bob" })).transport.closed).toBeUndefined();
});

test("a revoked token is refused in refresh, and changes nothing", async () => {
  const { client, engine } = node();
  const { session, transport } = await client({ userId: "ann", tokenId: "one" });
  await engine.revoke("ann", { tokenId: "two" });
  const refresh = async (tokenId: string): Promise<void> => {
    const token = JSON.stringify({ userId: "ann", tokenId });
    await send(session, { envelope: { case: "refresh", value: { token } } });
  };
  await refresh("two");
  await refresh("three");
  expect(kinds(transport)).toEqual(["connected", "error AUTH_ERROR", "refreshAck"]);
  await engine.revoke("ann", { tokenId: "one" });
  expect(transport.closed).toBeUndefined();
  await engine.revoke("ann", { tokenId: "three" });
  expect(transport.closed?.code).toBe(3500);
});

/** A node whose subscriptions' tokens are ids of tokens that are good for an hour; one may be waited for. */
function tokens(decided: Promise<void> = Promise.resolve()) {
  const lookedBy: number[] = [];
  const all = node({
    lookBy: (at) => lookedBy.push(at),
    backends: {
      authenticate: async ({ token }): Promise<Identity> => JSON.parse(token),
      authorizeSubscribe: async ({ token }) => {
        const [tokenId = "", issuedAt = START] = token.split("@");
        if (tokenId === "late") await decided;
        const its = { ...(tokenId === "" ? {} : { tokenId }), issuedAt: Number(issuedAt) };
        const consent = new SubscriptionConsent(START + 3_600_000, its);
        return consent as unknown as undefined;
      },
    },
  });
  return { ...all, lookedBy };
}

type Client = Awaited<ReturnType<ReturnType<typeof node>["client"]>>;

async function subscribe({ session }: Client, channels: Record<string, string>): Promise<void> {
  const subscriptions = Object.entries(channels).map(([channel, token]) => ({ channel, token }));
  await send(session, { envelope: { case: "subscribe", value: { subscriptions } } });
}

test("a revoked token of a subscription ends that and no other, and is refused from then on", async () => {
  const { client, engine } = tokens();
  const ann = await client({ userId: "ann", tokenId: "mine", issuedAt: START + 9 });
  await subscribe(ann, { a: "one", b: "two", c: "one@2000000" });
  const bob = await client({ userId: "bob" });
  await subscribe(bob, { a: "one" });
  await engine.revoke("ann", { tokenId: "one" });
  await new Promise(setImmediate);
  expect(ann.session.channels).toEqual(["b"]);
  expect(kinds(ann.transport).slice(-1)).toEqual(["unsubscribed"]);
  expect(bob.session.channels).toEqual(["a"]);
  await subscribe(ann, { d: "one", e: "three" });
  expect(ann.session.channels).toEqual(["b", "e"]);
  const value = { tokens: { b: "one", e: "four" } };
  await send(ann.session, { envelope: { case: "subRefresh", value } });
  expect(ann.session.channels).toEqual(["e"]);
  // All of the user's up to now; the session's own is younger.
  await engine.revoke("ann");
  await new Promise(setImmediate);
  expect(ann.session.channels).toEqual([]);
  await subscribe(ann, { f: "five", g: `six@${START + 1}` });
  expect(ann.session.channels).toEqual(["g"]);
  expect(ann.transport.closed).toBeUndefined();
});

test("a v1 client, which cannot be told, is closed for a subscription's token", async () => {
  const { client, engine } = tokens();
  const ann = await client({ userId: "ann" }, []);
  await subscribe(ann, { a: "one" });
  await engine.revoke("ann", { tokenId: "one" });
  expect(ann.transport.closed?.code).toBe(3500);
});

test("a subscription's token is remembered in a sleep by what it can be revoked by", async () => {
  const { client, engine } = tokens();
  const identity = { userId: "ann", issuedAt: START + 9 };
  const ann = await client(identity);
  await subscribe(ann, { a: "one", b: "two", c: "@2000000" });
  const record = ann.session.record();
  ann.session.end(true);
  const woken = engine.restore(new ScriptedTransport(), record);
  await engine.revoke("ann", { tokenId: "one" });
  await new Promise(setImmediate);
  expect(woken.channels).toEqual(["b", "c"]);
  await engine.revoke("ann");
  await new Promise(setImmediate);
  expect(woken.channels).toEqual(["c"]);
});

test("a token that is revoked while its subscription is being made does not slip through", async () => {
  const { promise: joined, resolve: join } = Promise.withResolvers<void>();
  const { broker, client, engine, lookedBy } = tokens();
  const ann = await client({ userId: "ann" });
  const quiet = broker.subscribe.bind(broker);
  broker.subscribe = async (channel) => {
    await joined;
    return await quiet(channel);
  };
  const subscribing = subscribe(ann, { a: "one", b: "two" });
  await new Promise(setImmediate);
  await engine.revoke("ann", { tokenId: "one" });
  lookedBy.length = 0;
  join();
  await subscribing;
  // The host is asked to look at once.
  expect(lookedBy).toEqual([0]);
  engine.expire();
  await new Promise(setImmediate);
  expect(ann.session.channels).toEqual(["b"]);
});

test("a revocation is remembered until its time, and let go of then", async () => {
  const { broker, client, clock, engine } = node();
  await engine.revoke("ann", { tokenId: "one", until: START + 1_000 });
  clock.time += 999;
  const early = await client({ userId: "ann", tokenId: "one" });
  expect(early.transport.closed?.code).toBe(3500);
  clock.time += 1;
  const late = await client({ userId: "ann", tokenId: "one" });
  expect(late.transport.closed).toBeUndefined();
  broker.revocations.sweep();
  clock.time -= 1;
  const forgotten = await client({ userId: "ann", tokenId: "one" });
  expect(forgotten.transport.closed).toBeUndefined();
});

test.each<[unknown, unknown, unknown]>([
  ["", undefined, undefined],
  ["\ud800", undefined, undefined],
  ["x".repeat(256), undefined, undefined],
  [7, undefined, undefined],
  ["ann", "", undefined],
  ["ann", "x".repeat(256), undefined],
  ["ann", undefined, START],
  ["ann", undefined, START + MAX_REVOCATION_MS + 1],
  ["ann", undefined, Number.NaN],
  ["ann", undefined, START + 0.5],
])("user %j, token %j, until %j is BAD_REQUEST", async (user, tokenId, until) => {
  const { engine } = node();
  const revoking = engine.revoke(user as string, { tokenId, until } as object);
  await expect(revoking).rejects.toMatchObject({ code: "BAD_REQUEST" });
});

test("without anybody who remembers, nothing is revoked", async () => {
  const { engine } = sceneWith(new QuietBroker());
  await expect(engine.revoke("ann")).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
});

test("what is remembered is bounded", async () => {
  let now = START;
  const revocations = new MemoryRevocations(() => now);
  const one = (tokenId: string, days = 1): Revocation => ({
    userId: "ann",
    tokenId,
    time: now,
    until: now + days * DAY_MS,
  });
  for (let i = 0; i < MAX_REVOCATIONS; i++) await revocations.revoke(one(`t${i}`));
  await expect(revocations.revoke(one("more"))).rejects.toMatchObject({ code: "RATE_LIMITED" });
  now += DAY_MS;
  await revocations.revoke(one("more"));
  expect(revocations.revoked({ userId: "ann", tokenId: "more" })).toBe(true);
  expect(revocations.revoked({ userId: "ann", tokenId: "t1" })).toBe(false);
});

test("of several revocations of one token the longest counts", () => {
  const list = new RevocationList();
  const one = { userId: "ann", tokenId: "", time: 10, until: 100 };
  expect(list.add(one)).toBe(true);
  expect(list.add({ ...one, until: 50 })).toBe(false);
  expect(list.add({ ...one, time: 20, until: 60 })).toBe(true);
  expect([...list.all()]).toEqual([{ ...one, time: 20, until: 100 }]);
  expect(list.revoked({ userId: "ann", issuedAt: 20 }, 99)).toBe(true);
  expect(list.revoked({ userId: "ann", issuedAt: 21 }, 99)).toBe(false);
  expect(list.dropOver(99)).toEqual([]);
  expect(list.dropOver(100)).toHaveLength(1);
  expect(list.size).toBe(0);
});

test("a user has as many connections as it may, and who leaves makes room", async () => {
  const { client } = node({ maxUserConnections: 2 });
  const ann = { userId: "ann" };
  const [first, second] = [await client(ann), await client(ann, [])];
  const [third, old] = [await client(ann), await client(ann, [])];
  for (const { transport } of [third, old]) {
    expect(kinds(transport)).toEqual([]);
    expect(transport.closed).toMatchObject({ code: 3504, reason: "connection limit" });
  }
  expect((await client({ userId: "bob" })).transport.closed).toBeUndefined();
  first.session.end(true);
  expect((await client(ann)).transport.closed).toBeUndefined();
  expect((await client(ann)).transport.closed?.code).toBe(3504);
  expect(second.transport.closed).toBeUndefined();
});

test("nobody in particular is no user", async () => {
  const { client } = node({ maxUserConnections: 1, backends: {} });
  for (let i = 0; i < 5; i++) {
    expect((await client(undefined)).transport.closed).toBeUndefined();
  }
});

test("a new token of a session that is there takes no second place", async () => {
  const { client } = node({ maxUserConnections: 1 });
  const { session, transport } = await client({ userId: "ann" });
  const token = JSON.stringify({ userId: "ann", tokenId: "two" });
  await send(session, { envelope: { case: "refresh", value: { token } } });
  expect(kinds(transport)).toEqual(["connected", "refreshAck"]);
});

test("a directory that fails keeps nobody out", async () => {
  const directory = {
    join: async (): Promise<JoinAnswer> => {
      throw new Error("no route");
    },
    leave: () => {},
    sessions: async () => [],
    forget: () => {},
    channels: async () => ({ channels: [], next: undefined, asOf: 0 }),
  };
  const { session, transport } = sceneWith(Object.assign(new QuietBroker(), { directory }), {
    maxUserConnections: 1,
    backends: { authenticate: async () => ({ userId: "ann" }) },
  });
  await connectWith(session, { token: "x" });
  expect(kinds(transport)).toEqual(["connected"]);
});
