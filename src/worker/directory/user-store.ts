/**
 * A user's sessions and revocations, in the SQLite of the user's Durable Object: one row written when a session comes
 * and one when it goes, one for each revocation and one for each gateway that has heard of it.
 */
import type {
  UserRevocationRow,
  UserSessionRow,
  UserStore,
} from "../../objects/ports/user-store.ts";
import { hasTable, type SqlLike } from "../sql/sql.ts";

export class SqlUserStore implements UserStore {
  readonly #sql: SqlLike;
  /** Who asks for somebody who was never here leaves no table behind. */
  #there: boolean;
  #revokes: boolean;

  constructor(sql: SqlLike) {
    this.#sql = sql;
    this.#there = hasTable(sql, "user_sessions");
    this.#revokes = hasTable(sql, "user_revocations");
  }

  *sessions(): Iterable<UserSessionRow> {
    if (!this.#there) return;
    for (const row of this.#sql.exec("SELECT session, gateway, since FROM user_sessions")) {
      yield {
        sessionId: `${row["session"]}`,
        gateway: `${row["gateway"]}`,
        since: Number(row["since"]),
      };
    }
  }

  save({ sessionId, gateway, since }: UserSessionRow): void {
    if (!this.#there) {
      this.#sql.exec(
        `CREATE TABLE user_sessions (
          session TEXT PRIMARY KEY, gateway TEXT NOT NULL, since INTEGER NOT NULL
        ) WITHOUT ROWID`,
      );
      this.#there = true;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO user_sessions (session, gateway, since) VALUES (?, ?, ?)",
      sessionId,
      gateway,
      since,
    );
  }

  drop(sessionId: string): void {
    this.#sql.exec("DELETE FROM user_sessions WHERE session = ?", sessionId);
  }

  *revocations(): Iterable<UserRevocationRow> {
    if (!this.#revokes) return;
    const query = "SELECT token, user, time, until, owed FROM user_revocations";
    for (const row of this.#sql.exec(query)) {
      yield {
        tokenId: `${row["token"]}`,
        userId: `${row["user"]}`,
        time: Number(row["time"]),
        until: Number(row["until"]),
        owed: `${row["owed"]}`.split(" ").filter((gateway) => gateway !== ""),
      };
    }
  }

  saveRevocation({ tokenId, userId, time, until, owed }: UserRevocationRow): void {
    if (!this.#revokes) {
      this.#sql.exec(
        `CREATE TABLE user_revocations (
          token TEXT PRIMARY KEY, user TEXT NOT NULL, time INTEGER NOT NULL, until INTEGER NOT NULL, owed TEXT NOT NULL
        ) WITHOUT ROWID`,
      );
      this.#revokes = true;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO user_revocations (token, user, time, until, owed) VALUES (?, ?, ?, ?, ?)",
      tokenId,
      userId,
      time,
      until,
      owed.join(" "),
    );
  }

  dropRevocation(tokenId: string): void {
    this.#sql.exec("DELETE FROM user_revocations WHERE token = ?", tokenId);
  }
}
