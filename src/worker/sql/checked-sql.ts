/**
 * An object's database whose failures are errors with a code: a disk that is full is no mistake of the
 * client, and the waiter for a write hears so at once.
 */
import { Trouble, type TroubleHost } from "../../objects/trouble.ts";
import { unavailable } from "../../protocol/errors.ts";
import type { SqlLike } from "./sql.ts";

/** The database, except that `exec` throws MessagingErrors: UNAVAILABLE. */
export function checkedSql(sql: SqlLike, host: TroubleHost): SqlLike {
  const trouble = new Trouble("queries of an object's database", host);
  return {
    exec: (query, ...bindings) => {
      try {
        const rows = sql.exec(query, ...bindings);
        trouble.worked();
        return rows;
      } catch (error) {
        trouble.failed(error);
        throw unavailable("storage does not take this now", error);
      }
    },
  };
}
