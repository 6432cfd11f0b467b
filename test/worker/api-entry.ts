/** The Worker with an authenticator, and a gateway of the test's choice: sessions of one user on several of them. */
import type { Backends } from "../../src/engine/ports/backends.ts";
import { createWorker, GatewayDurableObject as Gateway } from "../../src/worker/library.ts";

export {
  ChannelDurableObject,
  PatternDurableObject,
  StatsDurableObject,
  UserDurableObject,
} from "../../src/worker/library.ts";

export class GatewayDurableObject extends Gateway {
  protected override backends(): Backends {
    // As the cases of the server API expect it.
    return {
      authenticate: async ({ token }) => ({ userId: token === "" ? "nobody" : token }),
    };
  }
}

const worker = createWorker();

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const gateway = new URL(request.url).searchParams.get("gateway");
    if (gateway !== null) {
      return await ctx.exports.GatewayDurableObject.getByName(gateway).fetch(request);
    }
    return (await worker.fetch?.(request, env, ctx)) ?? new Response(null, { status: 404 });
  },
} satisfies ExportedHandler<Env>;
