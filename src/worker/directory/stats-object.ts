/**
 * The Durable Object of a region's counters. This shell gives the counters their platform, and calls them; every
 * method takes and returns messages of `messageloop.internal.v1`, which `StatsStub` names.
 */
import { DurableObject } from "cloudflare:workers";
import { background } from "../../engine/background.ts";
import { StatsObject } from "../../objects/directory/stats.ts";
import type { Called, StatsStub } from "../../objects/ports/calls.ts";
import { consoleLogger, platform } from "../platform.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { objectStorage } from "../storage.ts";
import { SqlReportStore } from "./report-store.ts";

/**
 * The object that counts the channels of one region and what its gateways report, for the server API and for metrics.
 *
 * @example
 * export { StatsDurableObject } from "messageloop-server/worker";
 */
export class StatsDurableObject extends DurableObject<Env> implements Called<StatsStub> {
  readonly #stats: StatsObject;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#stats = new StatsObject({
      store: () => new SqlReportStore(checkedSql(ctx.storage.sql, platform)),
      storage: objectStorage(ctx),
      platform,
    });
    // Which alarm is stored is known before anything asks for another.
    const found = async (): Promise<void> => this.#stats.found(await ctx.storage.getAlarm());
    background(ctx.blockConcurrencyWhile(found), consoleLogger, "reading the alarm");
  }

  report(request: Uint8Array): void {
    this.#stats.report(request);
  }

  list(request: Uint8Array): Uint8Array {
    return this.#stats.list(request);
  }

  count(request: Uint8Array): void {
    this.#stats.count(request);
  }

  /** @param request undefined of a Worker of an older version */
  figures(request: Uint8Array = new Uint8Array()): Uint8Array {
    return this.#stats.figures(request);
  }

  override async alarm(): Promise<void> {
    await this.#stats.alarm();
  }
}
