/**
 * What channels and gateways have reported, in the SQLite of a region's counters: one row for each. Where nobody has
 * reported there is no table.
 */
import type { NameRange } from "../../channels/name-order.ts";
import type { Incident } from "../../engine/ports/incidents.ts";
import type {
  Figures,
  GatewayCounts,
  ReportRow,
  ReportStore,
} from "../../objects/ports/report-store.ts";
import { LateTable, type SqlLike, type SqlValue } from "../sql/sql.ts";

export class SqlReportStore implements ReportStore {
  readonly #table: LateTable;
  readonly #gateways: LateTable;
  readonly #incidents: LateTable;

  constructor(sql: SqlLike) {
    // Not indexed by time: that would be a second row for every report, and the reads are few.
    const columns =
      "(channel TEXT PRIMARY KEY, members INTEGER NOT NULL, until INTEGER) WITHOUT ROWID";
    this.#table = new LateTable(sql, "reports", columns);
    // Figures as JSON: their names differ from version to version.
    this.#gateways = new LateTable(
      sql,
      "gateways",
      `(
        gateway TEXT PRIMARY KEY, life TEXT NOT NULL, time INTEGER NOT NULL,
        gauges TEXT NOT NULL, counters TEXT NOT NULL, before TEXT NOT NULL
      ) WITHOUT ROWID`,
    );
    // Beside the figures, which are written far more often. As JSON, like them.
    this.#incidents = new LateTable(
      sql,
      "incidents",
      "(gateway TEXT PRIMARY KEY, incidents TEXT NOT NULL) WITHOUT ROWID",
    );
  }

  get empty(): boolean {
    return (
      this.#table.number("SELECT 1 FROM reports LIMIT 1") === 0 &&
      this.#gateways.number("SELECT 1 FROM gateways LIMIT 1") === 0
    );
  }

  saveCounts({ gauges, counters, before, ...row }: GatewayCounts): void {
    this.#gateways.write({
      ...row,
      gauges: JSON.stringify(gauges),
      counters: JSON.stringify(counters),
      before: JSON.stringify(before),
    });
  }

  *counts(): Iterable<GatewayCounts> {
    const query = "SELECT gateway, life, time, gauges, counters, before FROM gateways";
    for (const row of this.#gateways.rows(query)) {
      yield {
        gateway: `${row["gateway"]}`,
        life: `${row["life"]}`,
        time: Number(row["time"]),
        gauges: figuresOf(row["gauges"]),
        counters: figuresOf(row["counters"]),
        before: figuresOf(row["before"]),
      };
    }
  }

  saveIncidents(gateway: string, incidents: readonly Incident[]): void {
    this.#incidents.write({ gateway, incidents: JSON.stringify(incidents) });
  }

  incidents(): ReadonlyMap<string, readonly Incident[]> {
    const rows = [...this.#incidents.rows("SELECT gateway, incidents FROM incidents")];
    return new Map(
      rows.map((row) => [`${row["gateway"]}`, JSON.parse(`${row["incidents"]}`) as Incident[]]),
    );
  }

  save({ channel, members, until }: ReportRow): void {
    this.#table.write({ channel, members, until });
  }

  *list(after: string, { first, end }: NameRange, limit: number): Iterable<ReportRow> {
    const bounds = end === undefined ? [after, first] : [after, first, end];
    const query = `SELECT channel, members, until FROM reports WHERE channel > ? AND channel >= ?
      ${end === undefined ? "" : "AND channel < ?"} ORDER BY channel LIMIT ?`;
    for (const { channel, members, until } of this.#table.rows(query, ...bounds, limit)) {
      const over = until === null ? undefined : Number(until);
      yield { channel: `${channel}`, members: Number(members), until: over };
    }
  }

  dropOver(time: number): void {
    this.#table.rows("DELETE FROM reports WHERE until <= ?", time);
  }

  firstEnd(): number | undefined {
    for (const { first = null } of this.#table.rows("SELECT min(until) AS first FROM reports")) {
      if (first !== null) return Number(first);
    }
    return undefined;
  }
}

function figuresOf(value: SqlValue | undefined): Figures {
  return JSON.parse(`${value}`) as Figures;
}
