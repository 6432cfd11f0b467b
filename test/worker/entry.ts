/**
 * The Worker with what only tests may have: a backend of the suite's, counters, and a choice of the
 * gateway. Everything else is the Worker that is deployed.
 */
import type { Proxy as ProxyPort } from "../../src/engine/ports.ts";
import { createApp } from "../../src/http/app.ts";
import { GatewayDurableObject as Gateway } from "../../src/worker/gateway.ts";
import { connectToGateway } from "../../src/worker/upgrade.ts";
import { suiteBackend } from "../conformance/backend.ts";
import type { ServerStats } from "../conformance/host.ts";

export { ChannelDurableObject } from "../../src/worker/channel.ts";

/** Gateways that this isolate has sent connections to. */
const gateways = new Set<string>();

export class GatewayDurableObject extends Gateway {
  protected override backends(): ProxyPort {
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
      return Response.json(all.reduce(sum, NOTHING));
    }
    const chosen = url.searchParams.get("gateway");
    const app = createApp({
      connect: (upgrade) =>
        chosen === null ? connectToGateway(upgrade, stubOf) : stubOf(chosen).fetch(upgrade),
    });
    return await app.fetch(request);
  },
} satisfies ExportedHandler<Env>;

const NOTHING: ServerStats = {
  sessions: 0,
  subscriptions: 0,
  openCalls: 0,
  openSurveys: 0,
  registrations: 0,
  publishing: 0,
  delivered: 0,
  encoded: [0, 0, 0, 0],
  decoded: 0,
  disconnects: {},
  droppedAnswers: 0,
};

function sum(left: ServerStats, right: ServerStats): ServerStats {
  const disconnects: Record<string, number> = { ...left.disconnects };
  for (const [code, count] of Object.entries(right.disconnects)) {
    disconnects[code] = (disconnects[code] ?? 0) + count;
  }
  return {
    sessions: left.sessions + right.sessions,
    subscriptions: left.subscriptions + right.subscriptions,
    openCalls: left.openCalls + right.openCalls,
    openSurveys: left.openSurveys + right.openSurveys,
    registrations: left.registrations + right.registrations,
    publishing: left.publishing + right.publishing,
    delivered: left.delivered + right.delivered,
    encoded: left.encoded.map((count, variant) => count + (right.encoded[variant] ?? 0)),
    decoded: left.decoded + right.decoded,
    disconnects,
    droppedAnswers: left.droppedAnswers + right.droppedAnswers,
  };
}
