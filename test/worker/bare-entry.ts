/** The Worker with an object beside it that does nothing but write one row: what an object costs by itself. */
import { DurableObject } from "cloudflare:workers";
import { createApp } from "../../src/http/app.ts";
import { connectToGateway } from "../../src/worker/upgrade.ts";

export { ChannelDurableObject } from "../../src/worker/channel/object.ts";
export { StatsDurableObject } from "../../src/worker/directory/stats-object.ts";
export { UserDurableObject } from "../../src/worker/directory/user-object.ts";
export { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
export { PatternDurableObject } from "../../src/worker/pattern-index/object.ts";

/** An object whose first call writes one row. One of them calls the others, as a gateway calls channels. */
export class BareDurableObject extends DurableObject<Env> {
  first(): number {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS one (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    sql.exec("INSERT OR REPLACE INTO one (id, text) VALUES (1, 'row')");
    return sql.exec("SELECT id FROM one").toArray().length;
  }

  /** Calls so many objects that there were not before, so many of them at the same time. */
  async callFresh(count: number, together: number): Promise<void> {
    const { BareDurableObject: namespace } = this.ctx.exports as unknown as BareExports;
    const names = Array.from({ length: count }, () => crypto.randomUUID()).values();
    const work = async (): Promise<void> => {
      for (const name of names) await namespace.getByName(name).first();
    };
    await Promise.all(Array.from({ length: together }, work));
  }
}

/** As the Worker that exports the class finds it. */
interface BareExports {
  readonly BareDurableObject: {
    getByName(name: string): Pick<BareDurableObject, "first" | "callFresh">;
  };
}

export default {
  async fetch(request, _env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const { GatewayDurableObject: namespace } = ctx.exports;
    if (url.pathname === "/test/bare") {
      const { BareDurableObject: bare } = ctx.exports as unknown as BareExports;
      const count = Number(url.searchParams.get("count"));
      const together = Number(url.searchParams.get("together"));
      await bare.getByName("caller").callFresh(count, together);
      return new Response("done");
    }
    const app = createApp({
      connect: (upgrade) => connectToGateway(upgrade, (name) => namespace.getByName(name)),
    });
    return await app.fetch(request);
  },
} satisfies ExportedHandler<Env>;
