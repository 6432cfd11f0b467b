/** What the Worker answers by the Connect library, made once for the settings of an isolate. */
import { made } from "../../channels/maps.ts";
import { apiRoutes, KEY_PEER } from "../../http/api/routes.ts";
import { ApiService } from "../../http/api/service.ts";
import { CAPABILITIES } from "../capabilities.ts";
import { clock, consoleLoggerAt } from "../platform.ts";
import { reportsFigures, type WorkerSettings } from "../settings.ts";
import { accessOf } from "./access.ts";
import { type Caller, callerOf, callerValues, peerOf } from "./caller.ts";
import { type ConnectServices, connectServices } from "./connect.ts";
import { requestEngine } from "./request-engine.ts";
import { messagingRoutes } from "./streaming.ts";

const known = new WeakMap<WorkerSettings, ConnectServices>();

/** Answers a call of a service. */
export async function answerCall(
  request: Request,
  settings: WorkerSettings,
  caller: Caller,
): Promise<Response> {
  const services = made(known, settings, () => servicesOf(settings));
  const values = callerValues(caller).set(KEY_PEER, peerOf(request));
  return await services(request, values, caller.keepAlive);
}

function servicesOf(settings: WorkerSettings): ConnectServices {
  const messaging = messagingRoutes(settings);
  const service = new ApiService({
    ...accessOf(settings),
    logger: consoleLoggerAt(settings.logLevel),
    // Gateways sleep, and are not woken to be counted.
    host: {
      name: CAPABILITIES.name,
      now: clock.now,
      nodesReport: reportsFigures(settings),
      settingsInForce: settings.inForce,
    },
  });
  const api = apiRoutes({
    service,
    engine: (values) => {
      const { ctx, region } = callerOf({ values });
      return requestEngine(ctx, settings, region);
    },
  });
  return connectServices((router) => {
    messaging(router);
    api(router);
  });
}
