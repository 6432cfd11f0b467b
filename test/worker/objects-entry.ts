/** The Worker of `entry.ts`, all of whose objects can be put to sleep, or reset. */
import unsafe from "workerd:unsafe";
import entry from "./entry.ts";

export * from "./entry.ts";

/** What the runtime says of such an object after 30 s. */
const BUSY = "Timed out waiting to evict Durable Object";

export default {
  async fetch(request, env, ctx): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/test/evict":
        // Their WebSockets stay, as those of objects that fall asleep do.
        await unsafe.evictAllDurableObjects({ webSockets: "hibernate" }).catch((error: unknown) => {
          // An object that has something to do all of the time that the runtime waits stays awake, and others sleep.
          if (!String(error).includes(BUSY)) throw error;
        });
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
