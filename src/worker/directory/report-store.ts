/** What channels have reported, in the SQLite of a region's counters: one row per channel. */
import type { NameRange } from "../../channels/name-order.ts";
import type { ReportRow, ReportStore } from "../../objects/ports/report-store.ts";
import { hasTable, type SqlLike } from "../sql/sql.ts";

export class SqlReportStore implements ReportStore {
  readonly #sql: SqlLike;
  /** Who asks where nobody has reported leaves no table behind. */
  #there: boolean;

  constructor(sql: SqlLike) {
    this.#sql = sql;
    this.#there = hasTable(sql, "reports");
  }

  get empty(): boolean {
    if (!this.#there) return true;
    for (const _ of this.#sql.exec("SELECT 1 FROM reports LIMIT 1")) return false;
    return true;
  }

  save({ channel, members, until }: ReportRow): void {
    if (!this.#there) {
      // Not indexed by time: that would be a second row for every report, and the reads are few.
      this.#sql.exec(
        `CREATE TABLE reports (
          channel TEXT PRIMARY KEY, members INTEGER NOT NULL, until INTEGER
        ) WITHOUT ROWID`,
      );
      this.#there = true;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO reports (channel, members, until) VALUES (?, ?, ?)",
      channel,
      members,
      until ?? null,
    );
  }

  *list(after: string, { first, end }: NameRange, limit: number): Iterable<ReportRow> {
    if (!this.#there) return;
    const bounds = end === undefined ? [after, first] : [after, first, end];
    const query = `SELECT channel, members, until FROM reports WHERE channel > ? AND channel >= ?
      ${end === undefined ? "" : "AND channel < ?"} ORDER BY channel LIMIT ?`;
    for (const { channel, members, until } of this.#sql.exec(query, ...bounds, limit)) {
      const over = until === null ? undefined : Number(until);
      yield { channel: `${channel}`, members: Number(members), until: over };
    }
  }

  dropOver(time: number): void {
    if (this.#there) this.#sql.exec("DELETE FROM reports WHERE until <= ?", time);
  }

  firstEnd(): number | undefined {
    if (!this.#there) return undefined;
    const [row] = [...this.#sql.exec("SELECT min(until) AS first FROM reports")];
    const first = row?.["first"] ?? null;
    return first === null ? undefined : Number(first);
  }
}
