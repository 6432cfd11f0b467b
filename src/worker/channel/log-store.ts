/**
 * A channel's log in a Durable Object's SQLite.
 *
 * One row is written per publish and none is ever deleted: billing counts both. Once neither history
 * nor dedup wants the oldest row, an update moves it to the new offset; that counts as one row
 * written, like an insert, and keeps the offset as the table's key. So the newest row is one row read,
 * a range is an index walk, and there is no second index to pay for.
 */
import type { LogKey, LogMeta, LogRow, LogStore } from "../../channels/log-store.ts";
import { bufferOf, firstRow, type Row, type SqlLike, writeRow } from "../sql/sql.ts";

const RANGE = `SELECT "offset", "key", "time", body FROM log
  WHERE "offset" > ? AND "offset" <= ? ORDER BY "offset"`;

export class SqlLogStore implements LogStore {
  readonly #sql: SqlLike;
  /** Nothing was ever written. */
  #fresh: boolean;
  #epoch: string | undefined;
  #oldest: number | undefined;

  /** @param fresh the database is empty, so that nothing need be looked for */
  constructor(sql: SqlLike, fresh = false) {
    this.#sql = sql;
    this.#fresh = fresh;
    // One call for all: a channel that is new is made while a caller waits. `removed` is a table of its own,
    // so that logs from before history could be removed need no change.
    sql.exec(
      `CREATE TABLE IF NOT EXISTS meta (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS removed (id INTEGER PRIMARY KEY, "offset" INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS log (
        "offset" INTEGER PRIMARY KEY, "key" TEXT NOT NULL, "time" INTEGER NOT NULL, body BLOB NOT NULL
      )`,
    );
  }

  meta(): LogMeta | undefined {
    if (this.#fresh) return undefined;
    const row = firstRow(this.#sql, "SELECT epoch FROM meta WHERE id = 1");
    if (row === undefined) return undefined;
    this.#epoch = `${row["epoch"]}`;
    const removed = firstRow(this.#sql, `SELECT "offset" FROM removed WHERE id = 1`);
    return { epoch: this.#epoch, removed: Number(removed?.["offset"] ?? 0) };
  }

  setMeta({ epoch, removed }: LogMeta): void {
    if (epoch !== this.#epoch) {
      writeRow(this.#sql, "meta", { id: 1, epoch });
      this.#epoch = epoch;
      if (removed === 0) return;
    }
    writeRow(this.#sql, "removed", { id: 1, offset: removed });
  }

  newest(): Pick<LogRow, "offset" | "time"> | undefined {
    if (this.#fresh) return undefined;
    const query = `SELECT "offset", "time" FROM log ORDER BY "offset" DESC LIMIT 1`;
    const row = firstRow(this.#sql, query);
    return row && { offset: Number(row["offset"]), time: Number(row["time"]) };
  }

  oldest(): number | undefined {
    if (this.#oldest === undefined) {
      const row = firstRow(this.#sql, `SELECT "offset" FROM log ORDER BY "offset" LIMIT 1`);
      if (row !== undefined) this.#oldest = Number(row["offset"]);
    }
    return this.#oldest;
  }

  time(offset: number): number | undefined {
    const row = firstRow(this.#sql, `SELECT "time" FROM log WHERE "offset" = ?`, offset);
    return row && Number(row["time"]);
  }

  append(row: LogRow, reuse: boolean): void {
    this.#fresh = false;
    const oldest = reuse ? this.oldest() : undefined;
    const values = [row.offset, row.key, row.time, bufferOf(row.body)] as const;
    if (oldest === undefined) {
      this.#sql.exec(
        `INSERT INTO log ("offset", "key", "time", body) VALUES (?, ?, ?, ?)`,
        ...values,
      );
      return;
    }
    this.#sql.exec(
      `UPDATE log SET "offset" = ?, "key" = ?, "time" = ?, body = ? WHERE "offset" = ?`,
      ...values,
      oldest,
    );
    this.#oldest = oldest + 1;
  }

  read(after: number, until: number): Iterable<LogRow> {
    return this.#rows(RANGE, after, until);
  }

  readBack(after: number, until: number): Iterable<LogRow> {
    return this.#rows(`${RANGE} DESC`, after, until);
  }

  *keys(): Iterable<LogKey> {
    for (const row of this.#sql.exec(`SELECT "offset", "key", "time" FROM log ORDER BY "offset"`)) {
      yield keyOf(row);
    }
  }

  *#rows(query: string, after: number, until: number): Iterable<LogRow> {
    for (const row of this.#sql.exec(query, after, until)) {
      yield { ...keyOf(row), body: new Uint8Array(row["body"] as ArrayBuffer) };
    }
  }
}

function keyOf(row: Row): LogKey {
  return {
    offset: Number(row["offset"]),
    key: `${row["key"]}`,
    time: Number(row["time"]),
  };
}
