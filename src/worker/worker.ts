/** The Worker in front of the objects: ready to deploy, or a part of a Worker of the application's own. */
import { SettingsError } from "../engine/settings/settings.ts";
import { createApp } from "../http/app.ts";
import { consoleLogger, consoleLoggerAt } from "./platform.ts";
import { settingsOf, type WorkerSettings } from "./settings.ts";
import { connectToGateway } from "./upgrade.ts";

export interface WorkerOptions {
  /** Answers what is not MessageLoop's, such as the application's own routes. Default 404. */
  readonly fallback?: (
    request: Request,
    env: Env,
    context: ExecutionContext,
  ) => Response | Promise<Response>;
}

/** Characters of a reason that reach the log: a header may be as long as its sender likes. */
const MAX_SHOWN = 500;

/**
 * The fetch handler. The Worker that uses it has to export `GatewayDurableObject`, or a class of its own
 * that extends it under the same name, `ChannelDurableObject` and `PatternDurableObject`, and to declare all
 * three in `[exports]`.
 */
export function createWorker({ fallback }: WorkerOptions = {}): ExportedHandler<Env> {
  return {
    async fetch(request, env, ctx) {
      let settings: WorkerSettings;
      try {
        settings = settingsOf(env);
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        // Nothing works half: an operator sees which setting is wrong, a client only that one is.
        consoleLogger.warn("wrong settings", { problems: error.problems });
        return new Response("wrong settings, see the log", { status: 500 });
      }
      const { GatewayDurableObject } = ctx.exports;
      const app = createApp({
        handshake: settings,
        refused: ({ status, reason }) => {
          const address = request.headers.get("CF-Connecting-IP") ?? "";
          const fields = { address, status, reason: reason.slice(0, MAX_SHOWN) };
          consoleLoggerAt(settings.logLevel).debug?.("upgrade refused", fields);
        },
        connect: (upgrade) =>
          connectToGateway(upgrade, (name, region) =>
            GatewayDurableObject.getByName(name, { locationHint: region }),
          ),
        ...(fallback === undefined ? {} : { fallback: () => fallback(request, env, ctx) }),
      });
      return await app.fetch(request);
    },
  };
}
