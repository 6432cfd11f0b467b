/** The backends that a configuration names, reached over the network. */
import type { Backends } from "../../engine/ports/backends.ts";
import { configuredHooks } from "../../hooks/configured.ts";
import type { HookTargets } from "../../hooks/hooks.ts";
import { callTeller, httpTeller, type Teller } from "../../hooks/tellers.ts";
import type { BackendConfig, ProxyConfig } from "../../proxy/backend-config.ts";
import { type BackendStats, laneOf } from "../../proxy/calls/counts.ts";
import { BackendGuard, guarded } from "../../proxy/calls/guard.ts";
import { configuredBackends } from "../../proxy/configured.ts";
import { type HttpPlatform, httpBackends } from "../../proxy/http-backends.ts";
import { type Call, createBackends } from "../../proxy/service.ts";
import { GrpcSender } from "./grpc.ts";
import { HttpSender } from "./http.ts";

/** One backend, for questions and for events. */
interface Reached {
  readonly backends: Backends;
  readonly teller: Teller;
}

/**
 * The backends of a configuration, each with its own connections, bounds and circuit breaker.
 *
 * @example
 * const network = new NetworkBackends(config.proxy, { clock, timers, random, hmac, logger });
 * const server = createServer({ backends: network.backends, hooks: network.hooks });
 * await network.close();
 */
export class NetworkBackends {
  /** What the engine asks. */
  readonly backends: Backends;
  /** The backends to which lifecycle events are reported. */
  readonly hooks: HookTargets;
  readonly #platform: HttpPlatform;
  readonly #guards: BackendGuard[] = [];
  readonly #closing: (() => unknown)[] = [];

  constructor(config: ProxyConfig, platform: HttpPlatform) {
    this.#platform = platform;
    const tellers = new Map<string, Teller>();
    this.backends = configuredBackends(config, (backend) => {
      const { backends, teller } = this.#reach(backend);
      tellers.set(backend.name, teller);
      return backends;
    });
    this.hooks = configuredHooks(config, ({ name }) => tellers.get(name) as Teller);
  }

  /** What each backend's calls have come to. */
  stats(): readonly BackendStats[] {
    return this.#guards.map((guard) => guard.stats());
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
  }

  #reach(config: BackendConfig): Reached {
    return config.kind === "grpc" ? this.#overGrpc(config) : this.#overHttp(config);
  }

  #overHttp(config: BackendConfig): Reached {
    const guard = new BackendGuard(config, this.#platform);
    const sender = new HttpSender(config);
    this.#guards.push(guard);
    this.#closing.push(() => sender.close());
    const { pathname, search } = new URL(config.url);
    const post = guarded(guard, (request, cancellation) => sender.send(request, cancellation));
    return {
      backends: httpBackends(config, post, `${pathname}${search}`, this.#platform),
      teller: httpTeller(config, post, this.#platform),
    };
  }

  #overGrpc(config: BackendConfig): Reached {
    const sender = new GrpcSender(config);
    // Where no call gets through the connection itself may be what is broken.
    const guard = new BackendGuard(config, { ...this.#platform, opened: () => sender.reconnect() });
    this.#guards.push(guard);
    this.#closing.push(() => sender.reconnect());
    const call: Call = (hook, message, cancellation) =>
      guard.run(hook.name, cancellation, {
        timeoutMs: config.timeouts[laneOf(hook.name)],
        ask: (inner, leftMs) => sender.send(hook, message, inner, leftMs),
        isFailing: () => false,
      });
    return { backends: createBackends(call), teller: callTeller(call) };
  }
}
