/**
 * The Worker with what only tests may have: a backend of the suite's, counters, and a choice of the
 * gateway. Everything else is the Worker that is deployed.
 */
import type { Backends } from "../../src/engine/ports/backends.ts";
import { createApp } from "../../src/http/app.ts";
import { ObjectBroker } from "../../src/objects/gateway/broker.ts";
import { GatewayDurableObject as Gateway } from "../../src/worker/gateway/object.ts";
import { connectToGateway } from "../../src/worker/upgrade.ts";
import { suiteBackend } from "../conformance/backend.ts";
import type { ServerStats } from "../conformance/host.ts";
import { sum } from "../conformance/stats.ts";
import { rememberHandlers } from "../support/broker-handlers.ts";

export { ChannelDurableObject } from "../../src/worker/channel/object.ts";
export { PatternDurableObject } from "../../src/worker/pattern-index/object.ts";

rememberHandlers(ObjectBroker);

/** Gateways that this isolate has sent connections to. */
const gateways = new Set<string>();

export class GatewayDurableObject extends Gateway {
  protected override backends(): Backends {
    const { backend } = this.env as { readonly backend?: string };
    if (backend !== "open" && backend !== "closed") return {};
    return suiteBackend(() => this.engine, backend === "closed");
  }

  stats(): ServerStats {
    this.wake();
    return { ...this.engine.stats(), ...this.broker.stats() };
  }
}

export default {
  async fetch(request, _env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const { GatewayDurableObject: namespace } = ctx.exports;
    const stubOf = (name: string) => {
      gateways.add(name);
      return namespace.getByName(name) as unknown as DurableObjectStub<GatewayDurableObject>;
    };
    if (url.pathname === "/test/stats") {
      const all = await Promise.all([...gateways].map(async (name) => await stubOf(name).stats()));
      return Response.json(sum(all));
    }
    const chosen = url.searchParams.get("gateway");
    const app = createApp({
      connect: (upgrade) =>
        chosen === null ? connectToGateway(upgrade, stubOf) : stubOf(chosen).fetch(upgrade),
    });
    return await app.fetch(request);
  },
} satisfies ExportedHandler<Env>;
