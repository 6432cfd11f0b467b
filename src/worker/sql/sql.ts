/** An object's database, and how values go in and come out of it. */

/** A value that SQLite takes or gives. */
export type SqlValue = string | number | ArrayBuffer | null;

/** Values by the names of their columns. */
export type Row = Record<string, SqlValue>;

/** The part of `ctx.storage.sql` that is used. */
export interface SqlLike {
  exec(query: string, ...bindings: SqlValue[]): Iterable<Row>;
}

/** Whether a database has no tables yet, but those that a host has of its own: of wrangler dev it is `__miniflare_do_name`. */
export function isFresh(sql: SqlLike): boolean {
  for (const _ of sql.exec("SELECT 1 FROM sqlite_master WHERE name NOT GLOB '_*' LIMIT 1"))
    return false;
  return true;
}

/** Whether a database has a table. */
export function hasTable(sql: SqlLike, name: string): boolean {
  for (const _ of sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", name)) return true;
  return false;
}

/** SQLite takes whole buffers: a view into a larger one is copied out. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

/** The bytes of a value; none where it holds none. */
export function bytesOf(value: SqlValue | undefined): Uint8Array {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : new Uint8Array();
}

/** The first row of an answer; undefined where there is none. */
export function firstRow(sql: SqlLike, query: string, ...bindings: SqlValue[]): Row | undefined {
  for (const row of sql.exec(query, ...bindings)) return row;
  return undefined;
}

/** Values by the names of their columns, of which none is from outside. A boolean is 1 or 0, undefined is NULL. */
export type Written = Readonly<Record<string, SqlValue | boolean | undefined>>;

/** Writes a row, in the place of the one that has its key. */
export function writeRow(sql: SqlLike, table: string, row: Written): void {
  const names = Object.keys(row).map((name) => `"${name}"`);
  const values = Object.values(row).map((value) =>
    typeof value === "boolean" ? Number(value) : (value ?? null),
  );
  const places = names.map(() => "?").join(", ");
  sql.exec(`INSERT OR REPLACE INTO ${table} (${names.join(", ")}) VALUES (${places})`, ...values);
}

/** Adds columns, each with its type, that older objects have a table without. */
export function addColumns(
  sql: SqlLike,
  table: string,
  columns: Readonly<Record<string, string>>,
): void {
  const known = [...sql.exec(`SELECT name FROM pragma_table_info('${table}')`)];
  for (const [column, type] of Object.entries(columns)) {
    if (known.some(({ name }) => name === column)) continue;
    sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
  }
}

/** A table that is made for the first of its rows: an object that has none has no table. */
export class LateTable {
  readonly #sql: SqlLike;
  readonly #name: string;
  readonly #columns: string;
  /** Undefined until it was looked for. */
  #there: boolean | undefined;

  /**
   * @param columns with what else `CREATE TABLE` takes
   * @param fresh the database is empty, so that nothing need be looked for
   */
  constructor(sql: SqlLike, name: string, columns: string, fresh = false) {
    this.#sql = sql;
    this.#name = name;
    this.#columns = columns;
    if (fresh) this.#there = false;
  }

  get exists(): boolean {
    this.#there ??= hasTable(this.#sql, this.#name);
    return this.#there;
  }

  make(): void {
    if (this.exists) return;
    this.#sql.exec(`CREATE TABLE ${this.#name} ${this.#columns}`);
    this.#there = true;
  }

  /** What a query of this table answers; nothing where there is none. */
  rows(query: string, ...bindings: SqlValue[]): Iterable<Row> {
    return this.exists ? this.#sql.exec(query, ...bindings) : [];
  }

  /** The number that a query of this table answers; 0 where it answers none. */
  number(query: string): number {
    for (const row of this.rows(query)) return Number(Object.values(row)[0] ?? 0);
    return 0;
  }

  write(row: Written): void {
    this.make();
    writeRow(this.#sql, this.#name, row);
  }

  /** The database is empty. */
  forgotten(): void {
    this.#there = undefined;
  }
}
