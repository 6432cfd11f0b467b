/** The gateway's rows of what it has registered: one per channel, the newest registration. */
import type { RegistrationTable } from "./do-broker.ts";
import type { SqlLike } from "./sql-store.ts";

export class SqlRegistrations implements RegistrationTable {
  readonly #sql: SqlLike;
  /** Called when a row is written, so that the object can make sure of its sweep. */
  readonly #written: () => void;

  constructor(sql: SqlLike, written: () => void) {
    this.#sql = sql;
    this.#written = written;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS registrations (channel TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID",
    );
  }

  get(channel: string): string | undefined {
    for (const row of this.#sql.exec("SELECT id FROM registrations WHERE channel = ?", channel)) {
      return `${row["id"]}`;
    }
    return undefined;
  }

  set(channel: string, registration: string): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO registrations (channel, id) VALUES (?, ?)",
      channel,
      registration,
    );
    this.#written();
  }

  delete(channel: string, registration: string): void {
    this.#sql.exec("DELETE FROM registrations WHERE channel = ? AND id = ?", channel, registration);
  }

  *all(): Iterable<{ channel: string; registration: string }> {
    for (const row of [...this.#sql.exec("SELECT channel, id FROM registrations")]) {
      yield { channel: `${row["channel"]}`, registration: `${row["id"]}` };
    }
  }
}
