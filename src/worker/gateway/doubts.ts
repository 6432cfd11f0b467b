/**
 * A client that seems to be silent may only seem so: the time of day may have been set forward, or the machine have
 * stood still, and the runtime has no other clock. So silence counts only when it is seen a second time, one
 * idle timeout after it was seen first. What was seen outlives the sleep of the object.
 */
import type { SqlLike } from "../sql/sql.ts";

export class Doubts {
  readonly #sql: SqlLike;
  readonly #idleMs: number;
  /** When silence was seen, Unix milliseconds, ascending; undefined until it was read. */
  #seen: number[] | undefined;

  constructor(sql: SqlLike, idleMs: number) {
    this.#sql = sql;
    this.#idleMs = idleMs;
    sql.exec("CREATE TABLE IF NOT EXISTS doubts (at INTEGER PRIMARY KEY)");
  }

  /**
   * A client seems to have been silent for too long.
   *
   * @param since when its time was over, Unix milliseconds
   * @returns when that was seen first, which counts as a sign of life
   */
  seen(since: number, now: number): number {
    this.#seen ??= this.#read();
    const first = this.#seen.find((at) => at >= since && at <= now);
    if (first !== undefined) return first;
    // What is older has served its purpose, and what is later was seen by a clock that was set back.
    const from = now - 2 * this.#idleMs;
    this.#seen = [...this.#seen.filter((at) => at >= from && at < now), now];
    this.#sql.exec("DELETE FROM doubts WHERE at < ? OR at > ?", from, now);
    this.#sql.exec("INSERT OR IGNORE INTO doubts (at) VALUES (?)", now);
    return now;
  }

  #read(): number[] {
    return [...this.#sql.exec("SELECT at FROM doubts ORDER BY at")].map(({ at }) => Number(at));
  }
}
