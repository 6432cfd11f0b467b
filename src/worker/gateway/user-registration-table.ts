/**
 * What a gateway has registered with the objects of users, in its Durable Object's SQLite. The table is made for the
 * first of them: a gateway without a directory has none.
 */
import type {
  UserRegistrationRow,
  UserRegistrationTable,
} from "../../objects/ports/user-registrations.ts";
import { hasTable, type SqlLike } from "../sql/sql.ts";

export class SqlUserRegistrations implements UserRegistrationTable {
  readonly #sql: SqlLike;
  /** Called when a row is written, so that the object can make sure of its sweep. */
  readonly #written: () => void;
  /** Undefined until it was looked for. */
  #there: boolean | undefined;

  constructor(sql: SqlLike, written: () => void) {
    this.#sql = sql;
    this.#written = written;
  }

  get size(): number {
    if (!this.#exists) return 0;
    const [row] = [...this.#sql.exec("SELECT count(*) AS rows FROM user_registrations")];
    return Number(row?.["rows"] ?? 0);
  }

  get(user: string): UserRegistrationRow | undefined {
    if (!this.#exists) return undefined;
    const query = "SELECT unsettled FROM user_registrations WHERE user = ?";
    const [row] = [...this.#sql.exec(query, user)];
    return row && { unsettled: row["unsettled"] === 1 };
  }

  set(user: string, { unsettled }: UserRegistrationRow): void {
    if (!this.#exists) {
      this.#sql.exec(
        `CREATE TABLE user_registrations (
          user TEXT PRIMARY KEY, unsettled INTEGER NOT NULL
        ) WITHOUT ROWID`,
      );
      this.#there = true;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO user_registrations (user, unsettled) VALUES (?, ?)",
      user,
      unsettled ? 1 : 0,
    );
    this.#written();
  }

  delete(user: string): void {
    if (this.#exists) this.#sql.exec("DELETE FROM user_registrations WHERE user = ?", user);
  }

  all(): Iterable<UserRegistrationRow & { readonly user: string }> {
    if (!this.#exists) return [];
    return [...this.#sql.exec("SELECT user, unsettled FROM user_registrations")].map((row) => ({
      user: `${row["user"]}`,
      unsettled: row["unsettled"] === 1,
    }));
  }

  get #exists(): boolean {
    this.#there ??= hasTable(this.#sql, "user_registrations");
    return this.#there;
  }
}
