/** An object's SQLite for a test alone, and what is read and written there. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import type { SqlLike, SqlValue } from "../../src/worker/sql/sql.ts";

/** A gateway object has none of a channel's tables, so a test can have them all to itself. */
export async function withSql<T>(run: (sql: SqlStorage) => T | Promise<T>): Promise<T> {
  const stub = exports.GatewayDurableObject.getByName(`store-${crypto.randomUUID()}`);
  return await runInDurableObject(stub, (_, state) => run(state.storage.sql));
}

export interface CountingSql extends SqlLike {
  /** Rows read and written so far, as they are billed. */
  readonly read: number;
  readonly written: number;
}

export function counted(sql: SqlStorage): CountingSql {
  let read = 0;
  let written = 0;
  return {
    get read() {
      return read;
    },
    get written() {
      return written;
    },
    exec: (query, ...bindings) => {
      const cursor = sql.exec<Record<string, SqlValue>>(query, ...bindings);
      const rows = cursor.toArray();
      read += cursor.rowsRead;
      written += cursor.rowsWritten;
      return rows;
    },
  };
}
