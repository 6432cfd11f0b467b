/** The directory in the true runtime: users on several gateways, channels that sleep, and what it costs. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import type { ChannelPage, Directory } from "../../src/engine/ports/directory.ts";
import { ChannelObject } from "../../src/objects/channel/object.ts";
import { SqlReportedStore } from "../../src/worker/channel/reported-store.ts";
import { SqlReportStore } from "../../src/worker/directory/report-store.ts";
import { StatsDurableObject } from "../../src/worker/directory/stats-object.ts";
import { SqlUserStore } from "../../src/worker/directory/user-store.ts";
import { requestEngine } from "../../src/worker/doors/request-engine.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { SqlUserRegistrations } from "../../src/worker/gateway/registration-tables.ts";
import { API_KEYS, settingsOf } from "../../src/worker/settings.ts";
import { eventually } from "../support/eventually.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel } from "./socket.ts";
import { counted, withSql } from "./sql.ts";

// Before any object is made: the directory is kept where there is a key that may ask for it.
const digest = "0".repeat(64);
const key = { id: "test", digest, rights: ["manage"], patterns: ["**"] };
Object.assign(env, { [API_KEYS]: JSON.stringify([key]) });

const known: Backends = { authenticate: async ({ token }) => ({ userId: token }) };
/** Called when a life of a gateway begins. */
const backends = vi
  .spyOn(GatewayDurableObject.prototype as unknown as { backends(): Backends }, "backends")
  .mockReturnValue(known);

/** Called when a life of a channel begins. */
const channelLives = vi.spyOn(ChannelObject.prototype, "found");

function directory(): Directory {
  const { directory: kept } = requestEngine(
    { exports, waitUntil: () => {} },
    settingsOf(env),
    "weur",
  ).broker;
  if (kept === undefined) throw new Error("there is no directory");
  return kept;
}

function freshUser(): string {
  return `user-${crypto.randomUUID()}`;
}

async function connected(gateway: string, user: string): Promise<{ client: Client; id: string }> {
  const client = await Client.open({ gateway });
  const { envelope } = await client.connect({ token: user });
  if (envelope.case !== "connected") throw new Error(`not connected: ${envelope.case}`);
  return { client, id: envelope.value.sessionId };
}

async function found(user: string): Promise<string[]> {
  return (await directory().sessions(user)).map(({ sessionId }) => sessionId).sort();
}

async function page(pattern: string): Promise<ChannelPage> {
  return await directory().channels({ pattern, after: "", limit: 100 });
}

function gatewayOf(name: string): DurableObjectStub<GatewayDurableObject> {
  return exports.GatewayDurableObject.getByName(name) as DurableObjectStub<GatewayDurableObject>;
}

test("a user is found on three gateways, through sleep and wake, until the last device has gone", async () => {
  const user = freshUser();
  const names = ["weur-11", "enam-11", "apac-11"];
  const devices = await Promise.all(names.map((name) => connected(name, user)));
  const ids = devices.map(({ id }) => id).sort();
  expect(await found(user)).toEqual(ids);
  await evictDurableObject(exports.UserDurableObject.getByName(user));
  for (const name of names) await evictDurableObject(gatewayOf(name));
  expect(await found(user)).toEqual(ids);
  const second = await connected("weur-11", user);
  expect(await found(user)).toEqual([...ids, second.id].sort());
  for (const { client } of [...devices, second]) client.socket.close(1000);
  await eventually(async () => (await found(user)).length === 0);
  await runInDurableObject(exports.UserDurableObject.getByName(user), (_, { storage }) => {
    expect([
      ...storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'user_sessions'"),
    ]).toEqual([]);
  });
});

test("a gateway that is reset takes its sessions back at its sweep, and the user can come again at once", async () => {
  const user = freshUser();
  await connected("weur-12", user);
  const { id: elsewhere } = await connected("enam-12", user);
  expect(await found(user)).toHaveLength(2);
  await abort(gatewayOf("weur-12"));
  const { id } = await connected("weur-12", user);
  expect(await found(user)).toEqual([elsewhere, id].sort());
  await abort(gatewayOf("weur-12"));
  expect(await runDurableObjectAlarm(gatewayOf("weur-12"))).toBe(true);
  await eventually(async () => (await found(user)).join() === elsewhere);
});

test("a user's object that is asked while it keeps nobody keeps nothing, and one that is left and joined in one turn keeps who came", async () => {
  const user = freshUser();
  expect(await found(user)).toEqual([]);
  const { client } = await connected("weur-13", user);
  client.socket.close(1000);
  const { id } = await connected("weur-13", user);
  await eventually(async () => (await found(user)).join() === id);
});

test("channels are listed with their members while every object that they are of sleeps", async () => {
  const word = freshChannel("list").replaceAll(".", "-");
  const { client } = await connected("weur-14", freshUser());
  const other = await connected("apac-14", freshUser());
  await client.subscribe(`${word}.a`);
  await other.client.subscribe(`${word}.b`);
  await other.client.publish(`${word}.c`, "one");
  const expected = [
    { channel: `${word}.a`, members: 1 },
    { channel: `${word}.b`, members: 1 },
    { channel: `${word}.c`, members: 0 },
  ];
  const seen = await eventually(
    async () => (await page(`${word}.*`)).channels,
    (listed) => listed.length === 3,
  );
  expect(seen).toEqual(expected);
  for (const { channel } of expected) {
    await evictDurableObject(exports.ChannelDurableObject.getByName(channel));
  }
  for (const name of ["weur-14", "apac-14"]) await evictDurableObject(gatewayOf(name));
  backends.mockClear();
  channelLives.mockClear();
  const { channels: listed, asOf } = await page(`${word}.*`);
  expect(listed).toEqual(expected);
  expect(Date.now() - asOf).toBeLessThan(11_000);
  expect(backends).not.toHaveBeenCalled();
  expect(channelLives).not.toHaveBeenCalled();
  // Both are called when something begins to live.
  await other.client.publish(`${word}.c`, "two");
  expect(backends).toHaveBeenCalledTimes(1);
  expect(channelLives).toHaveBeenCalledTimes(1);
});

test("a channel that many publish to writes one row of its own for the list and has one written, and no more", async () => {
  const channel = freshChannel();
  const report = vi.spyOn(StatsDurableObject.prototype, "report");
  // A key may list channels, and nobody has asked for metrics.
  const count = vi.spyOn(StatsDurableObject.prototype, "count");
  const { client } = await connected("weur-15", freshUser());
  for (let i = 1; i <= 20; i++) await client.publish(channel, `m${i}`);
  await eventually(async () => (await page(channel)).channels.length === 1);
  for (let i = 1; i <= 20; i++) await client.publish(channel, `n${i}`);
  expect(report).toHaveBeenCalledTimes(1);
  expect(count).not.toHaveBeenCalled();
});

test("what is kept for the directory costs one row each, and no table where nothing is kept", async () => {
  await withSql((sql) => {
    const counting = counted(sql);
    const users = new SqlUserStore(counting);
    const reports = new SqlReportStore(counting);
    const reported = new SqlReportedStore(counting, false);
    const registrations = new SqlUserRegistrations(counting, () => {});
    expect([
      ...users.sessions(),
      ...registrations.all(),
      ...reports.list("", { first: "", end: undefined }, 9),
      ...reports.counts(),
      ...reports.incidents(),
    ]).toEqual([]);
    expect([reports.empty, reports.firstEnd(), reported.read(), registrations.size]).toEqual([
      true,
      undefined,
      undefined,
      0,
    ]);
    reports.dropOver(9);
    registrations.delete("ann");
    expect(counting.written).toBe(0);
    const counts = {
      gateway: "weur-1",
      life: "l",
      time: 1,
      gauges: { 'a{b="c"}': 1 },
      counters: {},
      before: { d: 0.5 },
    };
    const incident = {
      kind: "gap",
      channel: "it's \u202E",
      reason: "limit",
      began: 1,
      at: 2,
      count: 3,
      sessionId: "s",
    } as const;
    const steps: (() => void)[] = [
      () => users.save({ sessionId: "s", gateway: "g", since: 1 }),
      () => users.drop("s"),
      () => reports.save({ channel: "c", members: 1, until: 5 }),
      () => reports.dropOver(5),
      () => reports.saveCounts(counts),
      () => reports.saveIncidents("weur-1", [incident]),
      () => reported.save({ region: "weur", said: undefined }),
      () => reported.save({ region: "weur", said: { members: 2, until: undefined } }),
      () => registrations.set("ann", { unsettled: false }),
      () => registrations.delete("ann"),
    ];
    // The first round makes the tables.
    for (const step of steps) step();
    for (const step of steps) {
      const before = counting.written;
      step();
      expect(counting.written - before).toBe(1);
    }
    expect([...reports.counts()]).toEqual([counts]);
    expect([...reports.incidents()]).toEqual([["weur-1", [incident]]]);
    expect(reports.empty).toBe(false);
    expect(reported.read()).toEqual({ region: "weur", said: { members: 2, until: undefined } });
    expect(new SqlReportedStore(counting, false).read()).toEqual(reported.read());
    for (const [channel, until] of [
      ["b", undefined],
      ["a/", 7],
      ["a.x", 8],
      ["a", 9],
    ] as const) {
      reports.save({ channel, members: 0, until });
    }
    const range = { first: "a", end: "a/" };
    expect([...reports.list("", range, 9)].map(({ channel }) => channel)).toEqual(["a", "a.x"]);
    expect([...reports.list("a", range, 9)]).toEqual([{ channel: "a.x", members: 0, until: 8 }]);
    expect([...reports.list("", range, 1)].map(({ channel }) => channel)).toEqual(["a"]);
    expect(reports.firstEnd()).toBe(7);
  });
});
