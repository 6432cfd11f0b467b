/**
 * A user's sessions and revocations, in the SQLite of the user's Durable Object: one row written when a session comes
 * and one when it goes, one for each revocation and one for each gateway that has heard of it. A question about a user
 * that was never here makes no table.
 */
import type {
  UserRevocationRow,
  UserSessionRow,
  UserStore,
} from "../../objects/ports/user-store.ts";
import { LateTable, type SqlLike } from "../sql/sql.ts";

export class SqlUserStore implements UserStore {
  readonly #sessions: LateTable;
  readonly #revocations: LateTable;

  constructor(sql: SqlLike) {
    this.#sessions = new LateTable(
      sql,
      "user_sessions",
      "(session TEXT PRIMARY KEY, gateway TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID",
    );
    this.#revocations = new LateTable(
      sql,
      "user_revocations",
      `(
        token TEXT PRIMARY KEY, user TEXT NOT NULL, time INTEGER NOT NULL, until INTEGER NOT NULL, owed TEXT NOT NULL
      ) WITHOUT ROWID`,
    );
  }

  *sessions(): Iterable<UserSessionRow> {
    for (const row of this.#sessions.rows("SELECT session, gateway, since FROM user_sessions")) {
      yield {
        sessionId: `${row["session"]}`,
        gateway: `${row["gateway"]}`,
        since: Number(row["since"]),
      };
    }
  }

  save({ sessionId, gateway, since }: UserSessionRow): void {
    this.#sessions.write({ session: sessionId, gateway, since });
  }

  drop(sessionId: string): void {
    this.#sessions.rows("DELETE FROM user_sessions WHERE session = ?", sessionId);
  }

  *revocations(): Iterable<UserRevocationRow> {
    const query = "SELECT token, user, time, until, owed FROM user_revocations";
    for (const row of this.#revocations.rows(query)) {
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
    const row = { token: tokenId, user: userId, time, until, owed: owed.join(" ") };
    this.#revocations.write(row);
  }

  dropRevocation(tokenId: string): void {
    this.#revocations.rows("DELETE FROM user_revocations WHERE token = ?", tokenId);
  }
}
