/** An engine for one request that the Worker answers by itself. */
import { Engine } from "../../engine/engine.ts";
import { sessionlessBroker } from "../../objects/gateway/sessionless.ts";
import { objectCalls } from "../calls.ts";
import { CAPABILITIES } from "../capabilities.ts";
import { parseGatewayName, REGIONS, type Region } from "../placement.ts";
import { clock, consoleLoggerAt, random, timers } from "../platform.ts";
import { keepsDirectory, type WorkerSettings } from "../settings.ts";
import { workerTracer } from "../tracing.ts";

/**
 * An engine that has no session of its own: it publishes, reads history and presence, and reaches sessions by
 * their ids. It is for the request that it was made in, as everything is that a Worker calls objects by, and
 * costs nothing to throw away.
 *
 * @param ctx of the request, for the classes of the objects
 * @param region where the request comes from
 */
export function requestEngine(
  ctx: Pick<ExecutionContext, "exports" | "waitUntil">,
  settings: WorkerSettings,
  region: Region,
): Engine {
  const logger = consoleLoggerAt(settings.logLevel);
  const broker = sessionlessBroker({
    calls: objectCalls(ctx),
    isGateway: (name) => parseGatewayName(name) !== undefined,
    keepsDirectory: keepsDirectory(settings),
    region,
    regions: REGIONS,
    random,
    platform: { clock, timers, logger },
  });
  return new Engine({
    broker,
    clock,
    random,
    timers,
    logger,
    capabilities: CAPABILITIES,
    tracer: workerTracer(settings, ctx),
    settings,
  });
}
