/** The region to which a channel reports that it exists, in its Durable Object's SQLite: one row, in a table of channels that report. */
import type { Reported, ReportedStore } from "../../objects/ports/channel-store.ts";
import { hasTable, type SqlLike } from "../sql/sql.ts";

export class SqlReportedStore implements ReportedStore {
  readonly #sql: SqlLike;
  /** Undefined until it was looked for. */
  #there: boolean | undefined;

  /** @param fresh the database is empty, so that nothing need be looked for */
  constructor(sql: SqlLike, fresh: boolean) {
    this.#sql = sql;
    if (fresh) this.#there = false;
  }

  read(): Reported | undefined {
    this.#there ??= hasTable(this.#sql, "reported");
    if (!this.#there) return undefined;
    for (const { region, members, until } of this.#sql.exec("SELECT * FROM reported")) {
      const end = until === null ? undefined : Number(until);
      const said = members === null ? undefined : { members: Number(members), until: end };
      return { region: `${region}`, said };
    }
    return undefined;
  }

  save({ region, said }: Reported): void {
    if (!this.#there) {
      this.#sql.exec(
        `CREATE TABLE IF NOT EXISTS reported (
          id INTEGER PRIMARY KEY, region TEXT NOT NULL, members INTEGER, until INTEGER
        )`,
      );
      this.#there = true;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO reported (id, region, members, until) VALUES (1, ?, ?, ?)",
      region,
      said?.members ?? null,
      said?.until ?? null,
    );
  }
}
