/**
 * What a pattern index keeps, in its Durable Object's SQLite. One row is written per registration and one
 * per lease.
 */
import { nameRange } from "../../channels/name-order.ts";
import { matches } from "../../channels/patterns.ts";
import type { LeaseRow, PatternRow, PatternStore } from "../../objects/ports/pattern-store.ts";
import { type SqlLike, writeRow } from "../sql/sql.ts";

export class SqlPatternStore implements PatternStore {
  readonly #sql: SqlLike;

  constructor(sql: SqlLike) {
    this.#sql = sql;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS patterns (
        pattern TEXT NOT NULL, gateway TEXT NOT NULL, version INTEGER NOT NULL,
        presence INTEGER NOT NULL, PRIMARY KEY (pattern, gateway)
      ) WITHOUT ROWID`,
    );
    // Not indexed by time: that would be a second row for every lease, and the reads are few.
    sql.exec(
      `CREATE TABLE IF NOT EXISTS leases (
        channel TEXT PRIMARY KEY, leased_at INTEGER NOT NULL
      ) WITHOUT ROWID`,
    );
  }

  *patterns(): Iterable<PatternRow> {
    for (const row of this.#sql.exec("SELECT pattern, gateway, version, presence FROM patterns")) {
      yield {
        pattern: `${row["pattern"]}`,
        gateway: `${row["gateway"]}`,
        version: Number(row["version"]),
        presence: row["presence"] === 1,
      };
    }
  }

  savePattern({ pattern, gateway, version, presence }: PatternRow): void {
    writeRow(this.#sql, "patterns", { pattern, gateway, version, presence });
  }

  dropPattern(pattern: string, gateway: string): void {
    this.#sql.exec("DELETE FROM patterns WHERE pattern = ? AND gateway = ?", pattern, gateway);
  }

  saveLease({ channel, leasedAt }: LeaseRow): void {
    writeRow(this.#sql, "leases", { channel, leased_at: leasedAt });
  }

  *leasesSince(time: number): Iterable<LeaseRow> {
    const query = "SELECT channel, leased_at FROM leases WHERE leased_at >= ? ORDER BY leased_at";
    for (const row of this.#sql.exec(query, time)) {
      yield { channel: `${row["channel"]}`, leasedAt: Number(row["leased_at"]) };
    }
  }

  *channels(pattern: string, time: number): Iterable<string> {
    const { first, end } = nameRange(pattern);
    const bounds = end === undefined ? [first] : [first, end];
    const query = `SELECT channel FROM leases WHERE leased_at >= ? AND channel >= ?
      ${end === undefined ? "" : "AND channel < ?"} ORDER BY leased_at DESC`;
    for (const { channel } of this.#sql.exec(query, time, ...bounds)) {
      if (matches(pattern, `${channel}`)) yield `${channel}`;
    }
  }

  span(): { readonly first: number; readonly last: number } | undefined {
    const query = "SELECT min(leased_at) AS first, max(leased_at) AS last FROM leases";
    for (const { first, last } of this.#sql.exec(query)) {
      if (first !== null) return { first: Number(first), last: Number(last) };
    }
    return undefined;
  }

  dropLeases(time: number): void {
    this.#sql.exec("DELETE FROM leases WHERE leased_at < ?", time);
  }
}
