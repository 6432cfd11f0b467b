/**
 * An issuer's keys in a gateway's Durable Object's SQLite, so that they serve on where it wakes while the issuer is away. The
 * table is made for the first of them: a gateway without an issuer has none.
 */
import type { KeptKeys, KeyStore } from "../../auth/platform.ts";
import { bufferOf, hasTable, type SqlLike } from "../sql/sql.ts";

export class SqlIssuerKeys implements KeyStore {
  readonly #sql: SqlLike;

  constructor(sql: SqlLike) {
    this.#sql = sql;
  }

  load(url: string): KeptKeys | undefined {
    if (!hasTable(this.#sql, "issuer_keys")) return undefined;
    const query = "SELECT bytes, fetched_at FROM issuer_keys WHERE url = ?";
    const [row] = [...this.#sql.exec(query, url)];
    const bytes = row?.["bytes"];
    if (!(bytes instanceof ArrayBuffer)) return undefined;
    return { bytes: new Uint8Array(bytes), fetchedAt: Number(row?.["fetched_at"]) };
  }

  store(url: string, { bytes, fetchedAt }: KeptKeys): void {
    if (!hasTable(this.#sql, "issuer_keys")) {
      this.#sql.exec(
        `CREATE TABLE issuer_keys (
          id INTEGER PRIMARY KEY, url TEXT NOT NULL, bytes BLOB NOT NULL, fetched_at INTEGER NOT NULL
        )`,
      );
    }
    // One row: there is one issuer, and what another one had is of no use.
    const query =
      "INSERT OR REPLACE INTO issuer_keys (id, url, bytes, fetched_at) VALUES (0, ?, ?, ?)";
    this.#sql.exec(query, url, bufferOf(bytes), fetchedAt);
  }
}
