/**
 * The sessions that are present in a channel, in a Durable Object's SQLite: one row written when a
 * session comes and one when it goes. Made when presence is first asked for, so that a channel that
 * is only published to never reads it.
 */
import type { PresenceStore, SessionRow } from "../../channels/presence.ts";
import type { SqlLike } from "../sql/sql.ts";

export class SqlPresenceStore implements PresenceStore {
  readonly #sql: SqlLike;

  constructor(sql: SqlLike) {
    this.#sql = sql;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS present (
        session TEXT PRIMARY KEY, "user" TEXT NOT NULL, client TEXT NOT NULL, node TEXT NOT NULL,
        "time" INTEGER NOT NULL, generation INTEGER NOT NULL, leaving INTEGER
      ) WITHOUT ROWID`,
    );
  }

  *sessions(): Iterable<SessionRow> {
    for (const row of this.#sql.exec("SELECT * FROM present")) {
      yield {
        sessionId: `${row["session"]}`,
        userId: `${row["user"]}`,
        clientId: `${row["client"]}`,
        node: `${row["node"]}`,
        time: Number(row["time"]),
        generation: Number(row["generation"]),
        leaving: row["leaving"] === null ? undefined : Number(row["leaving"]),
      };
    }
  }

  save({ sessionId, userId, clientId, node, time, generation, leaving }: SessionRow): void {
    this.#sql.exec(
      `INSERT INTO present (session, "user", client, node, "time", generation, leaving)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (session) DO UPDATE SET node = excluded.node, leaving = excluded.leaving`,
      sessionId,
      userId,
      clientId,
      node,
      time,
      generation,
      leaving ?? null,
    );
  }

  drop(sessionId: string): void {
    this.#sql.exec("DELETE FROM present WHERE session = ?", sessionId);
  }
}
