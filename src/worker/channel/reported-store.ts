/** The region to which a channel reports that it exists, in its Durable Object's SQLite: one row, in a table of channels that report. */
import type { Reported, ReportedStore } from "../../objects/ports/channel-store.ts";
import { LateTable, type SqlLike } from "../sql/sql.ts";

export class SqlReportedStore implements ReportedStore {
  readonly #table: LateTable;

  /** @param fresh the database is empty, so that nothing need be looked for */
  constructor(sql: SqlLike, fresh: boolean) {
    const columns =
      "(id INTEGER PRIMARY KEY, region TEXT NOT NULL, members INTEGER, until INTEGER)";
    this.#table = new LateTable(sql, "reported", columns, fresh);
  }

  read(): Reported | undefined {
    for (const { region, members, until } of this.#table.rows("SELECT * FROM reported")) {
      const end = until === null ? undefined : Number(until);
      const said = members === null ? undefined : { members: Number(members), until: end };
      return { region: `${region}`, said };
    }
    return undefined;
  }

  save({ region, said }: Reported): void {
    this.#table.write({ id: 1, region, members: said?.members, until: said?.until });
  }
}
