/**
 * The Durable Object of one user. This shell gives the user's object its platform, and calls it; every method
 * takes and returns messages of `messageloop.internal.v1`, which `UserStub` names.
 */
import { DurableObject } from "cloudflare:workers";
import { UserObject } from "../../objects/directory/user.ts";
import type { Called, UserStub } from "../../objects/ports/calls.ts";
import { objectCalls } from "../calls.ts";
import { platform } from "../platform.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { objectStorage } from "../storage.ts";
import { SqlUserStore } from "./user-store.ts";

/**
 * The object of one user: sessions and revoked tokens, for the server API.
 *
 * @example
 * export { UserDurableObject } from "messageloop-server/worker";
 */
export class UserDurableObject extends DurableObject<Env> implements Called<UserStub> {
  readonly #user: UserObject;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#user = new UserObject({
      store: () => new SqlUserStore(checkedSql(ctx.storage.sql, platform)),
      storage: objectStorage(ctx),
      calls: objectCalls(ctx),
      platform,
    });
  }

  update(request: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return this.#user.update(request);
  }

  revoke(request: Uint8Array): void {
    this.#user.revoke(request);
  }

  override async alarm(): Promise<void> {
    await this.#user.alarm();
  }

  sessions(): Uint8Array {
    return this.#user.sessions();
  }
}
