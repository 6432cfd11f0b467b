/** What a gateway has registered with pattern indexes, in its Durable Object's SQLite. */
import type {
  PatternRegistrationRow,
  PatternRegistrationTable,
} from "../../objects/ports/pattern-registrations.ts";
import { firstRow, type Row, type SqlLike, writeRow } from "../sql/sql.ts";

export class SqlPatternRegistrations implements PatternRegistrationTable {
  readonly #sql: SqlLike;
  /** Called when a row is written, so that the object can make sure of its sweep. */
  readonly #written: () => void;

  constructor(sql: SqlLike, written: () => void) {
    this.#sql = sql;
    this.#written = written;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS pattern_registrations (
        pattern TEXT PRIMARY KEY, version INTEGER NOT NULL, presence INTEGER NOT NULL,
        unsettled INTEGER NOT NULL
      ) WITHOUT ROWID`,
    );
    // Counted here and not taken from the clock: on another machine that may be slow.
    sql.exec(
      "CREATE TABLE IF NOT EXISTS pattern_version (id INTEGER PRIMARY KEY, last INTEGER NOT NULL)",
    );
  }

  nextVersion(): number {
    const query = `INSERT INTO pattern_version (id, last) VALUES (1, 1)
      ON CONFLICT (id) DO UPDATE SET last = last + 1 RETURNING last`;
    return Number([...this.#sql.exec(query)][0]?.["last"]);
  }

  get size(): number {
    const row = firstRow(this.#sql, "SELECT count(*) AS rows FROM pattern_registrations");
    return Number(row?.["rows"] ?? 0);
  }

  get(pattern: string): PatternRegistrationRow | undefined {
    const query = "SELECT * FROM pattern_registrations WHERE pattern = ?";
    const row = firstRow(this.#sql, query, pattern);
    return row && rowOf(row);
  }

  set(pattern: string, { version, presence, unsettled }: PatternRegistrationRow): void {
    writeRow(this.#sql, "pattern_registrations", { pattern, version, presence, unsettled });
    this.#written();
  }

  delete(pattern: string): void {
    this.#sql.exec("DELETE FROM pattern_registrations WHERE pattern = ?", pattern);
  }

  *all(): Iterable<PatternRegistrationRow & { pattern: string }> {
    for (const row of [...this.#sql.exec("SELECT * FROM pattern_registrations")]) {
      yield { pattern: `${row["pattern"]}`, ...rowOf(row) };
    }
  }
}

function rowOf(row: Row): PatternRegistrationRow {
  return {
    version: Number(row["version"]),
    presence: row["presence"] === 1,
    unsettled: row["unsettled"] === 1,
  };
}
