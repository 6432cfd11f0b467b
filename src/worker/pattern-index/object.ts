/**
 * The Durable Object of a pattern index. This shell gives the index its platform, and calls it; every method
 * takes and returns messages of `messageloop.internal.v1`, which `PatternStub` names.
 */
import { DurableObject } from "cloudflare:workers";
import { background } from "../../engine/background.ts";
import { PatternIndexObject } from "../../objects/pattern-index/object.ts";
import type { Called, PatternStub } from "../../objects/ports/calls.ts";
import { objectCalls } from "../calls.ts";
import { consoleLogger, platform } from "../platform.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { objectStorage } from "../storage.ts";
import { SqlPatternStore } from "./store.ts";

/**
 * The object that knows which gateways have which patterns.
 *
 * @example
 * export { PatternDurableObject } from "messageloop-server/worker";
 */
export class PatternDurableObject extends DurableObject<Env> implements Called<PatternStub> {
  readonly #index: PatternIndexObject;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#index = new PatternIndexObject({
      store: () => new SqlPatternStore(checkedSql(ctx.storage.sql, platform)),
      storage: objectStorage(ctx),
      calls: objectCalls(ctx),
      platform,
    });
    // Which alarm is stored is known before anything asks for another.
    const found = async (): Promise<void> => this.#index.found(await ctx.storage.getAlarm());
    background(ctx.blockConcurrencyWhile(found), consoleLogger, "reading the alarm");
  }

  subscribe(request: Uint8Array): Promise<Uint8Array> {
    return this.#index.subscribe(request);
  }

  unsubscribe(request: Uint8Array): void {
    this.#index.unsubscribe(request);
  }

  lease(request: Uint8Array): Promise<Uint8Array> {
    return this.#index.lease(request);
  }

  active(request: Uint8Array): Uint8Array {
    return this.#index.active(request);
  }

  override async alarm(): Promise<void> {
    await this.#index.alarm();
  }
}
