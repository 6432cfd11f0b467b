/** What a gateway has registered with channels, in its Durable Object's SQLite. */
import type {
  ChannelRegistrationRow,
  ChannelRegistrationTable,
} from "../../objects/ports/channel-registrations.ts";
import type { SqlLike } from "../sql/sql.ts";

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
    const columns = [...sql.exec("SELECT name FROM pragma_table_info('registrations')")];
    if (!columns.some(({ name }) => name === "unsettled")) {
      sql.exec("ALTER TABLE registrations ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0");
    }
  }

  get size(): number {
    for (const row of this.#sql.exec("SELECT count(*) AS rows FROM registrations")) {
      return Number(row["rows"]);
    }
    return 0;
  }

  get(channel: string): ChannelRegistrationRow | undefined {
    const query = "SELECT id, unsettled FROM registrations WHERE channel = ?";
    for (const row of this.#sql.exec(query, channel)) {
      return { id: `${row["id"]}`, unsettled: row["unsettled"] === 1 };
    }
    return undefined;
  }

  set(channel: string, { id, unsettled }: ChannelRegistrationRow): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO registrations (channel, id, unsettled) VALUES (?, ?, ?)",
      channel,
      id,
      unsettled ? 1 : 0,
    );
    this.#written();
  }

  delete(channel: string): void {
    this.#sql.exec("DELETE FROM registrations WHERE channel = ?", channel);
  }

  *all(): Iterable<ChannelRegistrationRow & { channel: string }> {
    const rows = [...this.#sql.exec("SELECT channel, id, unsettled FROM registrations")];
    for (const row of rows) {
      yield {
        channel: `${row["channel"]}`,
        id: `${row["id"]}`,
        unsettled: row["unsettled"] === 1,
      };
    }
  }
}
