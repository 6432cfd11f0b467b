/**
 * Lifecycle hooks of gateways: what was told is told again after an eviction or a reset until the backend has
 * taken it, and sessions that a reset has taken are told of as gone.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { LifecycleEvent, LifecycleKind } from "../../src/engine/ports/lifecycle.ts";
import { CHANNEL_KINDS, SESSION_KINDS } from "../../src/engine/ports/lifecycle.ts";
import type { HookTargets } from "../../src/hooks/hooks.ts";
import { encodeEvent } from "../../src/hooks/outbox.ts";
import { ChannelDurableObject } from "../../src/worker/channel/object.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { SqlOutbox } from "../../src/worker/sql/outbox.ts";
import { bufferOf, hasTable } from "../../src/worker/sql/sql.ts";
import { eventually } from "../support/eventually.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel } from "./socket.ts";
import { counted, withSql } from "./sql.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

type Hooked = { hooks(): HookTargets };

/** A backend for the hooks of every gateway, or of every channel, that is made from now on. */
function backend(
  kinds: readonly LifecycleKind[] = SESSION_KINDS,
  object: object = GatewayDurableObject.prototype,
) {
  const state = {
    away: false,
    /** Requests, and what was taken of them. */
    asked: 0,
    taken: [] as LifecycleEvent[],
    /** Duplicates by the id of the event. */
    get duplicates() {
      return state.taken.length - new Set(state.taken.map(({ id }) => id)).size;
    },
    /** What has come of a session, each event once. */
    lines: (session: string) => [
      ...new Map(
        state.taken
          .filter(({ sessionId }) => sessionId === session)
          .map(({ id, kind, channel }) => [id, channel === "" ? kind : `${kind} ${channel}`]),
      ).values(),
    ],
  };
  const hooks: HookTargets = {
    kinds: new Set(kinds),
    backends: [
      {
        name: "app",
        most: 1,
        takes: () => true,
        send: async (_, [event]) => {
          state.asked += 1;
          if (state.away) return { text: "away", refused: false };
          state.taken.push(event);
          return undefined;
        },
      },
    ],
  };
  vi.spyOn(object as Hooked, "hooks").mockReturnValue(hooks);
  return state;
}

function freshGateway(): string {
  return `hooks-${crypto.randomUUID()}`;
}

function sessionOf(client: Client): string {
  const connected = client.replies.find(({ envelope }) => envelope.case === "connected");
  return connected?.envelope.case === "connected" ? connected.envelope.value.sessionId : "";
}

/** Lets the alarm come, as the runtime does. */
async function alarm(gateway: string): Promise<void> {
  await runInDurableObject(exports.GatewayDurableObject.getByName(gateway), async (instance) => {
    await (instance as unknown as { alarm(): Promise<void> }).alarm();
  });
}

async function inDatabase<T>(gateway: string, run: (sql: SqlStorage) => T): Promise<T> {
  const stub = exports.GatewayDurableObject.getByName(gateway);
  return await runInDurableObject(stub, (_, state) => run(state.storage.sql));
}

async function waiting(gateway: string): Promise<number> {
  return await inDatabase(gateway, (sql) =>
    Number(sql.exec("SELECT count(*) AS n FROM lifecycle_events").one()["n"]),
  );
}

test("a life arrives once, across the sleep of its gateway", async () => {
  const app = backend();
  const gateway = freshGateway();
  const channel = freshChannel();
  const client = await Client.connect({ gateway, subscribe: [channel] });
  const session = sessionOf(client);
  await evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
  await client.subscribe("other");
  await evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
  client.socket.close(1000);
  const life = ["connected", `subscribed ${channel}`, "subscribed other", "disconnected"];
  await eventually(() => app.lines(session).length === life.length);
  expect(app.lines(session)).toEqual(life);
  await eventually(async () => (await waiting(gateway)) === 0);
});

test("what a backend did not take is there after an eviction and a reset, in its order", async () => {
  const app = backend();
  app.away = true;
  const gateway = freshGateway();
  const client = await Client.connect({ gateway });
  const session = sessionOf(client);
  await eventually(() => app.asked > 0);
  await evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
  await client.subscribe("a");
  await abort(exports.GatewayDurableObject.getByName(gateway));
  expect(app.taken).toEqual([]);
  app.away = false;
  await alarm(gateway);
  await eventually(() => app.lines(session).length === 3);
  expect(app.lines(session)).toEqual(["connected", "subscribed a", "disconnected"]);
  expect(app.taken.find(({ kind }) => kind === "disconnected")?.code).toBe(1006);
});

test("a reset gateway has an alarm, by which it tells of the sessions that are gone", async () => {
  const app = backend(["disconnected"]);
  const gateway = freshGateway();
  const client = await Client.connect({ gateway });
  const session = sessionOf(client);
  const stub = exports.GatewayDurableObject.getByName(gateway);
  const at = await runInDurableObject(stub, (_, state) => state.storage.getAlarm());
  expect((at ?? Number.POSITIVE_INFINITY) - Date.now()).toBeLessThanOrEqual(300_000);
  await abort(stub);
  await alarm(gateway);
  await eventually(() => app.taken.length === 1);
  expect(app.taken[0]).toMatchObject({ sessionId: session, kind: "disconnected", code: 1006 });
  await alarm(gateway);
  await alarm(gateway);
  expect(app.taken).toHaveLength(1);
  const remembered = await inDatabase(gateway, (sql) =>
    sql.exec("SELECT session FROM lifecycle_sessions").toArray(),
  );
  expect(remembered).toEqual([]);
});

test("a gateway that is reset while it tells tells again, and nothing is lost", async () => {
  const app = backend();
  const gateway = freshGateway();
  const sessions: string[] = [];
  for (let round = 0; round < 5; round++) {
    const clients = await Promise.all([1, 2, 3].map(() => Client.connect({ gateway })));
    for (const client of clients) sessions.push(sessionOf(client));
    await Promise.all(clients.map((client) => client.subscribe("a")));
    await abort(exports.GatewayDurableObject.getByName(gateway));
  }
  await alarm(gateway);
  const life = ["connected", "subscribed a", "disconnected"];
  await eventually(() => sessions.every((session) => app.lines(session).length === life.length));
  for (const session of sessions) expect(app.lines(session)).toEqual(life);
  console.info(`events that came more than once: ${app.duplicates} of ${app.taken.length}`);
});

test("a gateway without hooks has no table of theirs", async () => {
  const gateway = freshGateway();
  const client = await Client.connect({ gateway, subscribe: [freshChannel()] });
  client.socket.close(1000);
  expect(await inDatabase(gateway, (sql) => hasTable(sql, "lifecycle_events"))).toBe(false);
});

/** Lets the alarm of a channel come. */
async function channelAlarm(channel: string): Promise<void> {
  await runInDurableObject(exports.ChannelDurableObject.getByName(channel), async (instance) => {
    await (instance as unknown as { alarm(): Promise<void> }).alarm();
  });
}

test("a channel is occupied by its first gateway and vacated by the last, across sleep and reset", async () => {
  const app = backend(CHANNEL_KINDS, ChannelDurableObject.prototype);
  const channel = freshChannel();
  const object = () => exports.ChannelDurableObject.getByName(channel);
  const kinds = (): string[] =>
    app.taken.filter((event) => event.channel === channel).map(({ kind }) => kind);
  const first = await Client.connect({ gateway: freshGateway(), subscribe: [channel] });
  const second = await Client.connect({ gateway: freshGateway(), subscribe: [channel] });
  await Client.connect({ gateway: freshGateway(), subscribe: [`${channel.split(".")[0]}.**`] });
  await eventually(() => kinds().length === 1);
  await evictDurableObject(object());
  await first.unsubscribe(channel);
  await second.publish(channel, "still here");
  expect(kinds()).toEqual(["occupied"]);
  app.away = true;
  await second.unsubscribe(channel);
  await eventually(() => app.asked > 1);
  await abort(object());
  expect(kinds()).toEqual(["occupied"]);
  app.away = false;
  await channelAlarm(channel);
  await eventually(() => kinds().length === 2);
  expect(kinds()).toEqual(["occupied", "vacated"]);
  const sessions = await runInDurableObject(object(), (_, state) =>
    hasTable(state.storage.sql, "lifecycle_sessions"),
  );
  expect(sessions).toBe(false);
  const [occupied, vacated] = app.taken.filter((event) => event.channel === channel);
  expect(vacated?.sequence).toBeGreaterThan(occupied?.sequence ?? Number.POSITIVE_INFINITY);
  expect(occupied).toMatchObject({ sessionId: "", userId: "" });
});

test("a channel forgets what nobody has taken for a day with everything else, and begins anew", async () => {
  const app = backend(CHANNEL_KINDS, ChannelDurableObject.prototype);
  app.away = true;
  const channel = freshChannel();
  const stub = () => exports.ChannelDurableObject.getByName(channel);
  const rows = async (): Promise<number> =>
    await runInDurableObject(stub(), (_, state) =>
      Number(state.storage.sql.exec("SELECT count(*) AS n FROM lifecycle_events").one()["n"]),
    );
  const client = await Client.connect({ gateway: freshGateway(), subscribe: [channel] });
  await client.unsubscribe(channel);
  await eventually(async () => (await rows()) === 2);
  const tables = async (): Promise<number> =>
    await runInDurableObject(stub(), (_, state) =>
      Number(state.storage.sql.exec("SELECT count(*) AS n FROM sqlite_master").one()["n"]),
    );
  // Nobody may ask for the past any more, and events are given up.
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + 25 * 3_600_000);
  await eventually(async () => {
    await channelAlarm(channel);
    return (await tables()) === 0;
  });
  expect(app.taken).toEqual([]);
  // It begins anew, and so does what is told of it.
  app.away = false;
  await Client.connect({ gateway: freshGateway(), subscribe: [channel] });
  await eventually(() => app.taken.length === 1);
});

function outboxOn(sql: SqlStorage, most = 100) {
  let ids = 0;
  const outbox = new SqlOutbox(sql, {
    kinds: new Set(SESSION_KINDS),
    clock: { now: () => 1_000 },
    random: {
      uuid: () => {
        ids += 1;
        return `made-${ids}`;
      },
    },
    most,
    written: () => {},
  });
  return outbox;
}

function event(session: string, kind: LifecycleKind, channel = "") {
  const about = {
    userId: "ada",
    clientId: "phone",
    clientType: "web",
    code: 0,
    reason: "",
    sequence: 0,
  };
  return {
    id: `${session}-${kind}-${channel}`,
    kind,
    time: 5,
    sessionId: session,
    channel,
    ...about,
  };
}

test("an outbox in SQLite keeps order over lives, drops the oldest, and ends each session once", async () => {
  await withSql((sql) => {
    const first = outboxOn(sql, 3);
    expect(first.size).toBe(0);
    expect(first.read(undefined, 10)).toEqual({ rows: [], next: undefined });
    first.add([event("s", "connected"), event("s", "subscribed", "a"), event("t", "connected")]);
    first.add([event("s", "disconnected"), event("s", "disconnected")]);
    expect(first.size).toBe(3);
    expect(first.overflowed).toBe(1);
    const second = outboxOn(sql);
    expect(second.size).toBe(3);
    const page = second.read(undefined, 2);
    expect(page.rows.map((row) => row.event.id)).toEqual(["s-subscribed-a", "t-connected-"]);
    const rest = second.read(page.next, 10);
    expect(rest.rows.map((row) => row.event)).toEqual([event("s", "disconnected")]);
    expect(second.read(rest.next, 10)).toEqual({ rows: [], next: undefined });
    second.remove([...page.rows, ...rest.rows, ...rest.rows]);
    expect(second.size).toBe(0);
    second.endOthers((session) => session === "t");
    expect(second.size).toBe(0);
    second.endOthers(() => false);
    second.endOthers(() => false);
    // A place is not used again, or who has read it would miss what is there now.
    const [lost] = second.read(rest.next, 10).rows;
    expect(second.size).toBe(1);
    expect(lost?.event).toMatchObject({
      kind: "disconnected",
      sessionId: "t",
      time: 1_000,
      code: 1006,
    });
  });
});

test("what is no event of a known kind is thrown away", async () => {
  await withSql((sql) => {
    const outbox = outboxOn(sql);
    outbox.add([event("s", "connected")]);
    const unknown = encodeEvent({ ...event("s", "connected"), kind: "moved" as LifecycleKind });
    for (const bytes of [unknown, Uint8Array.of(255)]) {
      sql.exec("INSERT INTO lifecycle_events (event) VALUES (?)", bufferOf(bytes));
    }
    const later = outboxOn(sql);
    expect(later.size).toBe(3);
    expect(later.read(undefined, 10).rows).toHaveLength(1);
    expect(later.size).toBe(1);
  });
});

test("an event is one row written and one deleted, a session one more of each", async () => {
  await withSql((sql) => {
    const count = counted(sql);
    const outbox = outboxOn(sql);
    outbox.add([event("x", "connected")]);
    const measured = new SqlOutbox(count, {
      kinds: new Set(SESSION_KINDS),
      clock: { now: () => 1_000 },
      random: { uuid: () => "id" },
      written: () => {},
    });
    measured.add([event("s", "connected")]);
    expect(count.written).toBe(2);
    measured.add([event("s", "subscribed", "a")]);
    expect(count.written).toBe(3);
    measured.add([event("s", "disconnected")]);
    expect(count.written).toBe(5);
    measured.remove(measured.read(undefined, 10).rows);
    expect(count.written).toBe(9);
  });
});
