/** What a channel keeps in its Durable Object's SQLite, opened for one life of the channel. */
import type { LogStore } from "../../channels/log-store.ts";
import type { PresenceStore } from "../../channels/presence.ts";
import type {
  ChannelStore,
  GatewayStore,
  ReportedStore,
} from "../../objects/ports/channel-store.ts";
import { isFresh, type SqlLike } from "../sql/sql.ts";
import { SqlGatewayStore } from "./gateway-store.ts";
import { SqlLogStore } from "./log-store.ts";
import { SqlPresenceStore } from "./presence-store.ts";
import { SqlReportedStore } from "./reported-store.ts";

export class SqlChannelStore implements ChannelStore {
  readonly #sql: SqlLike;
  /** The database is empty, so that nothing need be looked for. */
  readonly #fresh: boolean;

  constructor(sql: SqlLike) {
    this.#sql = sql;
    this.#fresh = isFresh(sql);
  }

  log(): LogStore {
    return new SqlLogStore(this.#sql, this.#fresh);
  }

  gateways(): GatewayStore {
    return new SqlGatewayStore(this.#sql, this.#fresh);
  }

  reported(): ReportedStore {
    return new SqlReportedStore(this.#sql, this.#fresh);
  }

  presence(): PresenceStore {
    return new SqlPresenceStore(this.#sql);
  }
}
