/** The Worker of `entry.ts`, all of whose objects can be put to sleep, or reset. */
import unsafe from "workerd:unsafe";
import entry from "./entry.ts";

export * from "./entry.ts";

export default {
  async fetch(request, env, ctx): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/test/evict":
        // Their WebSockets stay, as those of objects that fall asleep do.
        await unsafe.evictAllDurableObjects({ webSockets: "hibernate" });
        break;
      case "/test/abort":
        await unsafe.abortAllDurableObjects();
        break;
      default:
        return await entry.fetch(request, env, ctx);
    }
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;
