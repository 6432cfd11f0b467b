/** The Worker in front of the objects: ready to deploy, or a part of a Worker of the application's own. */
import { SettingsError } from "../engine/settings/settings.ts";
import { answerUpgrade, createApp, UPGRADE_PATH, type Upgrades } from "../http/app.ts";
import { channelDoors } from "./doors/channels.ts";
import { operationsDoors } from "./doors/operations.ts";
import { answerCall } from "./doors/services.ts";
import { consoleLogger, consoleLoggerAt } from "./platform.ts";
import { RequestRest } from "./rest.ts";
import { configure, reportsFigures, settingsOf, type WorkerSettings } from "./settings.ts";
import { connectToGateway, type Gateways, regionFrom } from "./upgrade.ts";

export interface WorkerOptions {
  /**
   * The configuration, as `messageloop bundle` writes it: the tables of a config.yaml. The objects of the same bundle
   * take it as well. It is checked with the first request: while something in it is wrong every request is answered
   * with 500. Default: every setting has its own default.
   *
   * @example
   * import config from "./config.json";
   * export default createWorker({ config });
   */
  readonly config?: unknown;
  /** Answers what is not MessageLoop's, such as the application's own routes. Default 404. */
  readonly fallback?: (
    request: Request,
    env: Env,
    context: ExecutionContext,
  ) => Response | Promise<Response>;
}

/**
 * The fetch handler. The Worker that uses it has to export `GatewayDurableObject`, or a class of its own
 * that extends it under the same name, `ChannelDurableObject`, `PatternDurableObject`, `UserDurableObject` and
 * `StatsDurableObject`, and to declare all five in `[exports]`.
 *
 * @throws Error where it is called a second time with another configuration
 *
 * @example
 * import { createWorker } from "messageloop-server/worker";
 *
 * export {
 *   ChannelDurableObject,
 *   GatewayDurableObject,
 *   PatternDurableObject,
 *   StatsDurableObject,
 *   UserDurableObject,
 * } from "messageloop-server/worker";
 * export default createWorker({ fallback: () => new Response("my own page") });
 */
export function createWorker({ config, fallback }: WorkerOptions = {}): ExportedHandler<Env> {
  if (config !== undefined) configure(config);
  return {
    async fetch(request, env, ctx) {
      const rest = new RequestRest(request, ctx);
      let settings: WorkerSettings;
      try {
        settings = settingsOf(env);
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        // Nothing works half: an operator sees which setting is wrong, a client only that one is.
        consoleLogger.warn("wrong settings", { problems: error.problems });
        return await rest.behind(new Response("wrong settings, see the log", { status: 500 }));
      }
      const { GatewayDurableObject } = ctx.exports;
      const gateways: Gateways = (name, region) =>
        GatewayDurableObject.getByName(name, { locationHint: region });
      const { keepAlive } = rest;
      const caller = { ctx, gateways, region: regionFrom(request), keepAlive };
      const upgrades: Upgrades = {
        handshake: settings,
        refused: ({ status, reason }) => {
          const address = request.headers.get("CF-Connecting-IP") ?? "";
          const fields = { address, status, reason };
          consoleLoggerAt(settings.logLevel).debug?.("upgrade refused", fields);
        },
        connect: (upgrade) => connectToGateway(upgrade, gateways),
      };
      // Most requests are upgrades, and need none of the other routes, which are made for one request.
      if (new URL(request.url).pathname === UPGRADE_PATH) {
        return await rest.behind(await answerUpgrade(request, upgrades));
      }
      let ours = true;
      const app = createApp({
        ...upgrades,
        // With wrong settings nothing comes as far as this.
        ready: () => true,
        ...(reportsFigures(settings) && { operations: operationsDoors(settings, caller) }),
        api: true,
        services: (call) => answerCall(call, settings, caller),
        channels: channelDoors(settings, caller),
        ...(fallback === undefined
          ? {}
          : {
              fallback: () => {
                ours = false;
                return fallback(request, env, ctx);
              },
            }),
      });
      const answer = await app.fetch(request);
      return ours ? await rest.behind(answer) : answer;
    },
  };
}
