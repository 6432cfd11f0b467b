/**
 * What a gateway has registered with the objects of users, in its Durable Object's SQLite. A gateway without a
 * directory has no table of them.
 */
import type {
  UserRegistrationRow,
  UserRegistrationTable,
} from "../../objects/ports/user-registrations.ts";
import { LateTable, type SqlLike } from "../sql/sql.ts";

export class SqlUserRegistrations implements UserRegistrationTable {
  readonly #table: LateTable;
  /** Called when a row is written, so that the object can make sure of its sweep. */
  readonly #written: () => void;

  constructor(sql: SqlLike, written: () => void) {
    const columns = "(user TEXT PRIMARY KEY, unsettled INTEGER NOT NULL) WITHOUT ROWID";
    this.#table = new LateTable(sql, "user_registrations", columns);
    this.#written = written;
  }

  get size(): number {
    return this.#table.number("SELECT count(*) FROM user_registrations");
  }

  get(user: string): UserRegistrationRow | undefined {
    const query = "SELECT unsettled FROM user_registrations WHERE user = ?";
    for (const row of this.#table.rows(query, user)) return { unsettled: row["unsettled"] === 1 };
    return undefined;
  }

  set(user: string, { unsettled }: UserRegistrationRow): void {
    this.#table.write({ user, unsettled });
    this.#written();
  }

  delete(user: string): void {
    this.#table.rows("DELETE FROM user_registrations WHERE user = ?", user);
  }

  all(): Iterable<UserRegistrationRow & { readonly user: string }> {
    const rows = [...this.#table.rows("SELECT user, unsettled FROM user_registrations")];
    return rows.map((row) => ({ user: `${row["user"]}`, unsettled: row["unsettled"] === 1 }));
  }
}
