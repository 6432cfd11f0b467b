/** The Worker: HTTP in front, gateway and channel objects behind. */
import { createApp } from "../http/app.ts";
import { connectToGateway } from "./upgrade.ts";

export { ChannelDurableObject } from "./channel.ts";
export { GatewayDurableObject } from "./gateway.ts";

export default {
  fetch(request, _env, ctx) {
    const app = createApp({
      connect: (upgrade) =>
        connectToGateway(upgrade, (name, region) =>
          ctx.exports.GatewayDurableObject.getByName(name, { locationHint: region }),
        ),
    });
    return app.fetch(request);
  },
} satisfies ExportedHandler<Env>;
