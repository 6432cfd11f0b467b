/** What a gateway has registered with other objects, in its Durable Object's SQLite. Each table is made for its first row. */
import type {
  ChannelRegistrationRow,
  PatternRegistrationRow,
  PatternRegistrationTable,
  RegistrationTable,
  UserRegistrationRow,
} from "../../objects/ports/registrations.ts";
import {
  addColumns,
  hasTable,
  LateTable,
  type Row,
  type SqlLike,
  type Written,
} from "../sql/sql.ts";

/** A table by the names of its parts, and how its rows are read. */
interface Form<Registration> {
  readonly table: string;
  readonly key: string;
  /** With what else `CREATE TABLE` takes. */
  readonly columns: string;
  readonly read: (row: Row) => Registration;
}

class SqlRegistrations<Registration extends Written> implements RegistrationTable<Registration> {
  readonly #form: Form<Registration>;
  readonly #rows: LateTable;
  /** Called when a row is written, so that the object can make sure of its sweep. */
  readonly #written: () => void;

  constructor(sql: SqlLike, form: Form<Registration>, written: () => void) {
    this.#form = form;
    this.#rows = new LateTable(sql, form.table, `(${form.columns}) WITHOUT ROWID`);
    this.#written = written;
  }

  get size(): number {
    return this.#rows.number(`SELECT count(*) FROM ${this.#form.table}`);
  }

  get(name: string): Registration | undefined {
    const { key, read, table } = this.#form;
    const query = `SELECT * FROM ${table} WHERE ${key} = ?`;
    for (const row of this.#rows.rows(query, name)) return read(row);
    return undefined;
  }

  set(name: string, registration: Registration): void {
    this.#rows.write({ [this.#form.key]: name, ...registration });
    this.#written();
  }

  delete(name: string): void {
    const { key, table } = this.#form;
    this.#rows.rows(`DELETE FROM ${table} WHERE ${key} = ?`, name);
  }

  all(): Iterable<readonly [name: string, registration: Registration]> {
    const { key, read, table } = this.#form;
    const rows = [...this.#rows.rows(`SELECT * FROM ${table}`)];
    return rows.map((row) => [`${row[key]}`, read(row)]);
  }
}

export class SqlChannelRegistrations extends SqlRegistrations<ChannelRegistrationRow> {
  constructor(sql: SqlLike, written: () => void) {
    const unsettled = "INTEGER NOT NULL DEFAULT 0";
    const form: Form<ChannelRegistrationRow> = {
      table: "registrations",
      key: "channel",
      columns: `channel TEXT PRIMARY KEY, id TEXT NOT NULL, unsettled ${unsettled}`,
      read: ({ id, unsettled }) => ({ id: `${id}`, unsettled: unsettled === 1 }),
    };
    // Objects from before there was presence have the table without its column.
    if (hasTable(sql, form.table)) addColumns(sql, form.table, { unsettled });
    super(sql, form, written);
  }
}

export class SqlPatternRegistrations
  extends SqlRegistrations<PatternRegistrationRow>
  implements PatternRegistrationTable
{
  /** Counted here and not taken from the clock: on another machine that may be slow. */
  readonly #versions: LateTable;

  constructor(sql: SqlLike, written: () => void) {
    const form: Form<PatternRegistrationRow> = {
      table: "pattern_registrations",
      key: "pattern",
      columns: `pattern TEXT PRIMARY KEY, version INTEGER NOT NULL, presence INTEGER NOT NULL,
        unsettled INTEGER NOT NULL`,
      read: ({ version, presence, unsettled }) => ({
        version: Number(version),
        presence: presence === 1,
        unsettled: unsettled === 1,
      }),
    };
    super(sql, form, written);
    const columns = "(id INTEGER PRIMARY KEY, last INTEGER NOT NULL)";
    this.#versions = new LateTable(sql, "pattern_version", columns);
  }

  nextVersion(): number {
    this.#versions.make();
    const query = `INSERT INTO pattern_version (id, last) VALUES (1, 1)
      ON CONFLICT (id) DO UPDATE SET last = last + 1 RETURNING last`;
    return Number([...this.#versions.rows(query)][0]?.["last"]);
  }
}

export class SqlUserRegistrations extends SqlRegistrations<UserRegistrationRow> {
  constructor(sql: SqlLike, written: () => void) {
    const form: Form<UserRegistrationRow> = {
      table: "user_registrations",
      key: "user",
      columns: "user TEXT PRIMARY KEY, unsettled INTEGER NOT NULL",
      read: ({ unsettled }) => ({ unsettled: unsettled === 1 }),
    };
    super(sql, form, written);
  }
}
