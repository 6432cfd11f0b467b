/** An object's database, and how values go in and come out of it. */

/** A value that SQLite takes or gives. */
export type SqlValue = string | number | ArrayBuffer | null;

/** The part of `ctx.storage.sql` that is used. */
export interface SqlLike {
  exec(query: string, ...bindings: SqlValue[]): Iterable<Record<string, SqlValue>>;
}

/** Whether a database has no tables yet. */
export function isFresh(sql: SqlLike): boolean {
  for (const _ of sql.exec("SELECT 1 FROM sqlite_master LIMIT 1")) return false;
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
