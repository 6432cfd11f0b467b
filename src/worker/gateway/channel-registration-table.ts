/** What a gateway has registered with channels, in its Durable Object's SQLite. */
import type {
  ChannelRegistrationRow,
  ChannelRegistrationTable,
} from "../../objects/ports/channel-registrations.ts";
import { addColumns, firstRow, type Row, type SqlLike, writeRow } from "../sql/sql.ts";

export class SqlChannelRegistrations implements ChannelRegistrationTable {
  readonly #sql: SqlLike;
  /** Called when a row is written, so that the object can make sure of its sweep. */
  readonly #written: () => void;

  constructor(sql: SqlLike, written: () => void) {
    this.#sql = sql;
    this.#written = written;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS registrations (
        channel TEXT PRIMARY KEY, id TEXT NOT NULL, unsettled INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID`,
    );
    // Objects from before there was presence have the table without its column.
    addColumns(sql, "registrations", { unsettled: "INTEGER NOT NULL DEFAULT 0" });
  }

  get size(): number {
    return Number(firstRow(this.#sql, "SELECT count(*) AS rows FROM registrations")?.["rows"] ?? 0);
  }

  get(channel: string): ChannelRegistrationRow | undefined {
    const row = firstRow(this.#sql, "SELECT * FROM registrations WHERE channel = ?", channel);
    return row && rowOf(row);
  }

  set(channel: string, { id, unsettled }: ChannelRegistrationRow): void {
    writeRow(this.#sql, "registrations", { channel, id, unsettled });
    this.#written();
  }

  delete(channel: string): void {
    this.#sql.exec("DELETE FROM registrations WHERE channel = ?", channel);
  }

  *all(): Iterable<ChannelRegistrationRow & { channel: string }> {
    for (const row of [...this.#sql.exec("SELECT * FROM registrations")]) {
      yield { channel: `${row["channel"]}`, ...rowOf(row) };
    }
  }
}

function rowOf(row: Row): ChannelRegistrationRow {
  return { id: `${row["id"]}`, unsettled: row["unsettled"] === 1 };
}
