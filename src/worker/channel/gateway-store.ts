/** What a channel keeps beside log and presence, in its Durable Object's SQLite. */
import type { GatewayRow, GatewayStore } from "../../objects/ports/channel-store.ts";
import { addColumns, firstRow, type SqlLike, writeRow } from "../sql/sql.ts";

/** Columns that older objects have the table without. */
const ADDED_COLUMNS: Readonly<Record<string, string>> = {
  presence: "INTEGER NOT NULL DEFAULT 0",
  pattern: "INTEGER",
  pattern_presence: "INTEGER NOT NULL DEFAULT 0",
};

export class SqlGatewayStore implements GatewayStore {
  readonly #sql: SqlLike;
  /** Nothing was there to be read at the start. */
  readonly #fresh: boolean;

  /** @param fresh the database is empty, so that nothing need be looked for */
  constructor(sql: SqlLike, fresh = false) {
    this.#sql = sql;
    this.#fresh = fresh;
    // One call for both: a channel that is new is made while a caller waits.
    sql.exec(
      `CREATE TABLE IF NOT EXISTS gateways (
        name TEXT PRIMARY KEY, registration TEXT NOT NULL, confirmed INTEGER,
        presence INTEGER NOT NULL DEFAULT 0, pattern INTEGER,
        pattern_presence INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS quiet (id INTEGER PRIMARY KEY, since INTEGER NOT NULL)`,
    );
    if (fresh) return;
    addColumns(sql, "gateways", ADDED_COLUMNS);
  }

  /** Those that were there at the start. */
  all(): GatewayRow[] {
    if (this.#fresh) return [];
    const rows = this.#sql.exec("SELECT * FROM gateways");
    return [...rows].map((row) => ({
      name: `${row["name"]}`,
      registration: `${row["registration"]}`,
      confirmed: row["confirmed"] === null ? undefined : Number(row["confirmed"]),
      presence: row["presence"] === 1,
      pattern:
        row["pattern"] === null
          ? undefined
          : { version: Number(row["pattern"]), follows: row["pattern_presence"] === 1 },
    }));
  }

  save({ name, registration, confirmed, presence, pattern }: GatewayRow): void {
    writeRow(this.#sql, "gateways", {
      ...{ name, registration, confirmed, presence },
      pattern: pattern?.version,
      pattern_presence: pattern?.follows === true,
    });
  }

  drop(name: string): void {
    this.#sql.exec("DELETE FROM gateways WHERE name = ?", name);
  }

  /** When the last gateway went or the object was born, Unix milliseconds; undefined before birth. */
  quietSince(): number | undefined {
    const row = firstRow(this.#sql, "SELECT since FROM quiet WHERE id = 1");
    return row && Number(row["since"]);
  }

  setQuiet(since: number): void {
    writeRow(this.#sql, "quiet", { id: 1, since });
  }
}
