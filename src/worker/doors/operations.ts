/** What operators of a deployment read by an API key: metrics, and health with what it is made of. */
import type { Reading } from "../../http/health.ts";
import { healthOf, type RegionMetrics, renderRegions } from "../../http/metrics/regions.ts";
import { METRICS_TYPE } from "../../http/metrics/text.ts";
import { problemResponse } from "../../http/statuses.ts";
import { reportsOf } from "../../objects/gateway/figures.ts";
import { objectCalls } from "../calls.ts";
import { REGIONS } from "../placement.ts";
import { clock, consoleLoggerAt, timers } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import { accessOf } from "./access.ts";
import { type Caller, peerOf } from "./caller.ts";

/** Asks the counters of the regions, so that neither a gateway nor a channel is woken. */
export function operationsDoors(
  settings: WorkerSettings,
  { ctx }: Caller,
): { readonly metrics: Reading; readonly health: Reading } {
  const answering =
    (body: (reports: readonly RegionMetrics[]) => Response): Reading =>
    async (request) => {
      try {
        const authorization = request.headers.get("Authorization");
        const { keys } = accessOf(settings);
        const principal = await keys.authorize(authorization, peerOf(request));
        // Neither a channel nor a user is named, so the right may be for any channel.
        principal.checkRight("read");
        const platform = { clock, timers, logger: consoleLoggerAt(settings.logLevel) };
        return body(await reportsOf(REGIONS, objectCalls(ctx), platform));
      } catch (error) {
        return problemResponse(error);
      }
    };
  return {
    metrics: answering((reports) => answer(200, METRICS_TYPE, renderRegions(reports))),
    health: answering((reports) => {
      const health = healthOf(reports);
      const status = health.status === "ready" ? 200 : 503;
      return answer(status, "application/json; charset=utf-8", JSON.stringify(health));
    }),
  };
}

/** An answer is true for the moment only, so nothing on the way may keep it. */
function answer(status: number, type: string, body: string): Response {
  const headers = { "Content-Type": type, "Cache-Control": "no-store" };
  return new Response(body, { status, headers });
}
