/**
 * An issuer's keys in a gateway's Durable Object's SQLite, so that they serve on where it wakes while the issuer is away. A
 * gateway without an issuer has no table of them.
 */
import type { KeptKeys, KeyStore } from "../../auth/platform.ts";
import { bufferOf, LateTable, type SqlLike } from "../sql/sql.ts";

export class SqlIssuerKeys implements KeyStore {
  readonly #table: LateTable;

  constructor(sql: SqlLike) {
    this.#table = new LateTable(
      sql,
      "issuer_keys",
      `(
        id INTEGER PRIMARY KEY, url TEXT NOT NULL, bytes BLOB NOT NULL, fetched_at INTEGER NOT NULL
      )`,
    );
  }

  load(url: string): KeptKeys | undefined {
    const query = "SELECT bytes, fetched_at FROM issuer_keys WHERE url = ?";
    const [row] = [...this.#table.rows(query, url)];
    const bytes = row?.["bytes"];
    if (!(bytes instanceof ArrayBuffer)) return undefined;
    return { bytes: new Uint8Array(bytes), fetchedAt: Number(row?.["fetched_at"]) };
  }

  store(url: string, { bytes, fetchedAt }: KeptKeys): void {
    // One row: there is one issuer, and what another one had is of no use.
    this.#table.write({ id: 0, url, bytes: bufferOf(bytes), fetched_at: fetchedAt });
  }
}
