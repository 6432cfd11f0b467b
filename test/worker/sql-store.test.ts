/** The log on a Durable Object's SQLite: the shared cases, and what a publish costs. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { ChannelLog } from "../../src/channels/log.ts";
import { SqlLogStore } from "../../src/worker/sql-store.ts";
import { logStoreSuite } from "../conformance/log-store-suite.ts";

/** A gateway object has none of the log's tables, so a test can have them all to itself. */
async function withSql<T>(run: (sql: SqlStorage) => T | Promise<T>): Promise<T> {
  const stub = exports.GatewayDurableObject.getByName(`store-${crypto.randomUUID()}`);
  return await runInDurableObject(stub, (_, state) => run(state.storage.sql));
}

logStoreSuite(async (run) => {
  await withSql((sql) => run(new SqlLogStore(sql), () => new SqlLogStore(sql)));
});

test("each publish writes exactly one row, also when the oldest row goes; a wake reads a handful", async () => {
  await withSql((sql) => {
    let written = 0;
    let read = 0;
    const counting = {
      exec: (query: string, ...bindings: (string | number | ArrayBuffer | null)[]) => {
        const cursor = sql.exec(query, ...bindings);
        const rows = cursor.toArray();
        written += cursor.rowsWritten;
        read += cursor.rowsRead;
        return rows as Record<string, string | number | ArrayBuffer | null>[];
      },
    };
    const rules = { historySize: 10, historyTtlMs: 60_000, dedupSize: 20, dedupWindowMs: 60_000 };
    const open = (): ChannelLog =>
      new ChannelLog(new SqlLogStore(counting), { now: () => 1 }, { epoch: () => "e" }, rules);
    const log = open();
    for (let i = 1; i <= 100; i++) {
      const before = written;
      log.append(`key ${i}`, new Uint8Array(300));
      expect(written - before).toBe(1);
    }
    expect([...log.read(0, 1_000)]).toHaveLength(20);
    read = 0;
    expect(open().head).toBe(100);
    expect(read).toBeLessThan(5);
  });
});
