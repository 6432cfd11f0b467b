/**
 * The Worker with what only tests may have: a backend of the suite's, counters, and a choice of the
 * gateway. Everything else is the Worker that is deployed.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { createApp } from "../../src/http/app.ts";
import { ObjectBroker } from "../../src/objects/gateway/broker.ts";
import { channelDoors } from "../../src/worker/doors/channels.ts";
import { answerCall } from "../../src/worker/doors/services.ts";
import { GatewayDurableObject as Gateway } from "../../src/worker/gateway/object.ts";
import { RequestRest } from "../../src/worker/rest.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { connectToGateway, type Gateways, regionFrom } from "../../src/worker/upgrade.ts";
import { suiteBackend } from "../conformance/backend.ts";
import type { ServerStats } from "../conformance/host.ts";
import { sum } from "../conformance/stats.ts";
import { rememberHandlers } from "../support/broker-handlers.ts";
import { answerJson } from "../support/proxy-functions.ts";

export { ChannelDurableObject } from "../../src/worker/channel/object.ts";
export { StatsDurableObject } from "../../src/worker/directory/stats-object.ts";
export { UserDurableObject } from "../../src/worker/directory/user-object.ts";
export { PatternDurableObject } from "../../src/worker/pattern-index/object.ts";

rememberHandlers(ObjectBroker);

/** Gateways that this isolate has sent connections to. */
const gateways = new Set<string>();

/** How often gateways were made, by name: once, and again after each sleep. */
const lives = new Map<string, number>();

export class GatewayDurableObject extends Gateway {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const name = ctx.id.name ?? "";
    lives.set(name, (lives.get(name) ?? 0) + 1);
  }

  protected override backends(): Backends {
    const { backend } = this.env as { readonly backend?: string };
    if (backend !== "open" && backend !== "closed") return {};
    return suiteBackend(() => this.engine, backend === "closed");
  }

  stats(): ServerStats {
    this.wake();
    return { ...this.engine.stats(), ...this.broker.stats() };
  }

  lives(): number {
    return lives.get(this.ctx.id.name ?? "") ?? 0;
  }
}

/** The suite's backend as a Worker of its own, which a service binding leads to. */
const suite = suiteBackend(() => {
  throw new Error("a backend of its own has no engine");
}, true);

/** Longer than any case waits, in milliseconds. */
const HANG_MS = 60_000;

export class SuiteBackend extends WorkerEntrypoint<Env> {
  override async fetch(request: Request): Promise<Response> {
    const hook = request.headers.get("messageloop-hook") ?? "";
    const answering = answerJson(suite, hook, await request.text(), request.signal);
    // The runtime gives up what waits for nothing, and here it is somebody's deadline that ends a call.
    const { status, body } = await Promise.race([answering, scheduler.wait(HANG_MS)]).then(
      (answer) => answer ?? { status: 500, body: "{}" },
    );
    return new Response(body, { status, headers: { "content-type": "application/json" } });
  }
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const url = new URL(request.url);
    const { GatewayDurableObject: namespace } = ctx.exports;
    const stubOf = (name: string) => {
      gateways.add(name);
      return namespace.getByName(name) as unknown as DurableObjectStub<GatewayDurableObject>;
    };
    const chosen = url.searchParams.get("gateway") ?? request.headers.get("Test-Gateway");
    if (url.pathname === "/test/stats") {
      const names = chosen === null ? [...gateways] : [chosen];
      const all = await Promise.all(names.map(async (name) => await stubOf(name).stats()));
      return Response.json(sum(all));
    }
    if (url.pathname === "/test/lives") return Response.json(await stubOf(chosen ?? "").lives());
    const reach: Gateways = chosen === null ? stubOf : () => stubOf(chosen);
    const rest = new RequestRest(request, ctx);
    const { keepAlive } = rest;
    const caller = { ctx, gateways: reach, region: regionFrom(request), keepAlive };
    const app = createApp({
      services: (call) => answerCall(call, settingsOf(env), caller),
      channels: channelDoors(settingsOf(env), caller),
      connect: (upgrade) =>
        chosen === null ? connectToGateway(upgrade, stubOf) : stubOf(chosen).fetch(upgrade),
    });
    return await rest.behind(await app.fetch(request));
  },
} satisfies ExportedHandler<Env>;
