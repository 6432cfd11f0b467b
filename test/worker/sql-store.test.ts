/** The log on a Durable Object's SQLite: the shared cases, and what a publish costs. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { ChannelLog } from "../../src/channels/log.ts";
import { SqlLogStore } from "../../src/worker/channel/log-store.ts";
import { isFresh } from "../../src/worker/sql/sql.ts";
import { logStoreSuite } from "../conformance/log-store-suite.ts";
import { counted, withSql } from "./sql.ts";

logStoreSuite(async (run) => {
  await withSql((sql) => run(new SqlLogStore(sql), () => new SqlLogStore(sql)));
});

const rules = { historySize: 10, historyTtlMs: 60_000, dedupSize: 20, dedupWindowMs: 60_000 };

test("each publish writes exactly one row, also when the oldest row goes; a wake reads a handful", async () => {
  await withSql((sql) => {
    const counting = counted(sql);
    const open = (): ChannelLog =>
      new ChannelLog(new SqlLogStore(counting), { now: () => 1 }, { epoch: () => "e" }, rules);
    const log = open();
    for (let i = 1; i <= 100; i++) {
      const before = counting.written;
      log.append(`key ${i}`, new Uint8Array(300));
      expect(counting.written - before).toBe(1);
    }
    expect([...log.read(0, 1_000)]).toHaveLength(20);
    log.removeHistory();
    let before = counting.read;
    const again = open();
    expect(again.head).toBe(100);
    expect(counting.read - before).toBeLessThan(5);
    // The keys are read once, by the first publish.
    before = counting.read;
    again.append("key 101", new Uint8Array(300));
    expect(counting.read - before).toBeGreaterThanOrEqual(20);
    before = counting.read;
    again.append("key 102", new Uint8Array(300));
    expect(counting.read - before).toBeLessThan(5);
  });
});

test("a page of history reads what it returns and a few rows more", async () => {
  await withSql((sql) => {
    const counting = counted(sql);
    const log = new ChannelLog(
      new SqlLogStore(counting),
      { now: () => 1 },
      { epoch: () => "e" },
      { ...rules, historySize: 1_000, dedupSize: 1_000 },
    );
    for (let i = 1; i <= 1_000; i++) log.append(`key ${i}`, new Uint8Array(10));
    const before = counting.read;
    expect(log.page({ since: 500, limit: 10 }).rows).toHaveLength(10);
    expect(log.page({ limit: 10, reverse: true }).rows).toHaveLength(10);
    expect(counting.read - before).toBeLessThan(50);
  });
});

test("a log from before history could be removed goes on", async () => {
  await withSql((sql) => {
    sql.exec("CREATE TABLE meta (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL)");
    sql.exec(
      `CREATE TABLE log (
        "offset" INTEGER PRIMARY KEY, "key" TEXT NOT NULL, "time" INTEGER NOT NULL, body BLOB NOT NULL
      )`,
    );
    sql.exec("INSERT INTO meta (id, epoch) VALUES (1, 'old')");
    sql.exec(`INSERT INTO log ("offset", "key", "time", body) VALUES (7, 'k7', 1, x'00')`);
    const log = new ChannelLog(
      new SqlLogStore(sql),
      { now: () => 1 },
      { epoch: () => "new" },
      rules,
    );
    expect([log.epoch, log.head]).toEqual(["old", 7]);
    expect(log.append("k7", new Uint8Array(1))).toMatchObject({ offset: 7, duplicate: true });
    expect(log.append("k8", new Uint8Array(1)).offset).toBe(8);
    log.removeHistory();
    expect(log.retained().first).toBe(9);
  });
});

test("a database is fresh until it has a table that is no host's", () =>
  // An object that has no table of its own before it is asked for something.
  runInDurableObject(exports.StatsDurableObject.getByName("fresh"), (_, { storage: { sql } }) => {
    sql.exec("CREATE TABLE IF NOT EXISTS __miniflare_do_name (name TEXT)");
    const before = isFresh(sql);
    sql.exec("CREATE TABLE own (id INTEGER PRIMARY KEY)");
    expect([before, isFresh(sql)]).toEqual([true, false]);
  }));
