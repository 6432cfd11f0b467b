/**
 * A channel's log in a Durable Object's SQLite.
 *
 * One row is written per publish and none is ever deleted: billing counts both. Once neither history
 * nor dedup wants the oldest row, an update moves it to the new offset; that counts as one row
 * written, like an insert, and keeps the offset as the table's key. So the head is one row read, a
 * range is an index walk, and there is no second index to pay for.
 */
import type { LogKey, LogRow, LogStore } from "../channels/log-store.ts";

/** A value that SQLite takes or gives. */
export type SqlValue = string | number | ArrayBuffer | null;

/** The part of `ctx.storage.sql` that is used. */
export interface SqlLike {
  exec(query: string, ...bindings: SqlValue[]): Iterable<Record<string, SqlValue>>;
}

export class SqlLogStore implements LogStore {
  readonly #sql: SqlLike;
  #oldest: number | undefined;

  constructor(sql: SqlLike) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS meta (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL)");
    sql.exec(
      `CREATE TABLE IF NOT EXISTS log (
        "offset" INTEGER PRIMARY KEY, "key" TEXT NOT NULL, "time" INTEGER NOT NULL, body BLOB NOT NULL
      )`,
    );
  }

  epoch(): string | undefined {
    for (const row of this.#sql.exec("SELECT epoch FROM meta WHERE id = 1"))
      return `${row["epoch"]}`;
    return undefined;
  }

  begin(epoch: string): void {
    this.#sql.exec("INSERT INTO meta (id, epoch) VALUES (1, ?)", epoch);
  }

  head(): number {
    return this.#edge("max");
  }

  append(row: LogRow, reuse: boolean): void {
    const body = bufferOf(row.body);
    if (!reuse) {
      this.#sql.exec(
        `INSERT INTO log ("offset", "key", "time", body) VALUES (?, ?, ?, ?)`,
        row.offset,
        row.key,
        row.time,
        body,
      );
      return;
    }
    const oldest = this.#oldest ?? this.#edge("min");
    this.#sql.exec(
      `UPDATE log SET "offset" = ?, "key" = ?, "time" = ?, body = ? WHERE "offset" = ?`,
      row.offset,
      row.key,
      row.time,
      body,
      oldest,
    );
    this.#oldest = oldest + 1;
  }

  *read(after: number, until: number): Iterable<LogRow> {
    const rows = this.#sql.exec(
      `SELECT "offset", "key", "time", body FROM log WHERE "offset" > ? AND "offset" <= ? ORDER BY "offset"`,
      after,
      until,
    );
    for (const row of rows)
      yield { ...keyOf(row), body: new Uint8Array(row["body"] as ArrayBuffer) };
  }

  *keys(): Iterable<LogKey> {
    for (const row of this.#sql.exec(`SELECT "offset", "key", "time" FROM log ORDER BY "offset"`)) {
      yield keyOf(row);
    }
  }

  #edge(which: "min" | "max"): number {
    for (const row of this.#sql.exec(`SELECT ${which}("offset") AS edge FROM log`)) {
      return Number(row["edge"] ?? 0);
    }
    return 0;
  }
}

function keyOf(row: Record<string, SqlValue>): LogKey {
  return {
    offset: Number(row["offset"]),
    key: `${row["key"]}`,
    time: Number(row["time"]),
  };
}

/** SQLite takes whole buffers: a view into a larger one is copied out. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
