/** The Worker: HTTP in front, gateway and channel objects behind. */
import { SettingsError } from "../engine/settings.ts";
import { createApp } from "../http/app.ts";
import { consoleLogger } from "./platform.ts";
import { settingsOf } from "./settings.ts";
import { connectToGateway } from "./upgrade.ts";

export { ChannelDurableObject } from "./channel.ts";
export { GatewayDurableObject } from "./gateway.ts";

export default {
  fetch(request, env, ctx) {
    try {
      settingsOf(env);
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      // Nothing works half: an operator sees which setting is wrong, a client only that one is.
      consoleLogger.warn("wrong settings", { problems: error.problems });
      return new Response("wrong settings, see the log", { status: 500 });
    }
    const app = createApp({
      connect: (upgrade) =>
        connectToGateway(upgrade, (name, region) =>
          ctx.exports.GatewayDurableObject.getByName(name, { locationHint: region }),
        ),
    });
    return app.fetch(request);
  },
} satisfies ExportedHandler<Env>;
