/** The backends of a gateway: those of its program, and those that the configuration names. */
import type { Backends } from "../../engine/ports/backends.ts";
import type { LifecycleKind } from "../../engine/ports/lifecycle.ts";
import { configuredHooks } from "../../hooks/configured.ts";
import type { HookTargets } from "../../hooks/hooks.ts";
import { httpTeller, type Teller } from "../../hooks/tellers.ts";
import type { BackendConfig, ProxyConfig } from "../../proxy/backend-config.ts";
import { BackendGuard, guarded } from "../../proxy/calls/guard.ts";
import { configuredBackends, over } from "../../proxy/configured.ts";
import type { Post } from "../../proxy/http/call.ts";
import { type HttpPlatform, httpBackends } from "../../proxy/http-backends.ts";
import { bindingOf, type Fetch } from "./binding.ts";
import { CallReport } from "./call-report.ts";
import { FetchSender } from "./fetch.ts";

/** Configurations that the log has already: an isolate has many gateways, and one configuration. */
const told = new WeakSet<ProxyConfig>();

/**
 * @param own what the program's own class has; stands above what the configuration says
 * @param bindings the Worker's environment
 */
export function gatewayBackends(
  own: Backends,
  config: ProxyConfig,
  bindings: object,
  platform: HttpPlatform,
): Backends {
  if (!told.has(config)) {
    told.add(config);
    for (const warning of config.warnings) platform.logger.warn(warning);
  }
  return over(
    own,
    configuredBackends(config, (backend) => reach(backend, bindings, platform)),
  );
}

/**
 * Calls of one kind over the network that may be under way at once: an object has six connections that wait for an
 * answer, and a call that has none left for it waits unseen.
 */
const MAX_CONNECTIONS = 4;

function reach(config: BackendConfig, bindings: object, platform: HttpPlatform): Backends {
  const { pathname, search } = new URL(config.url);
  const post = postTo(config, bindings, platform);
  return httpBackends(config, post, `${pathname}${search}`, platform);
}

/**
 * The backends to which one object reports lifecycle events.
 *
 * @param among kinds that the object can report
 */
export function objectHooks(
  config: ProxyConfig,
  among: readonly LifecycleKind[],
  bindings: object,
  platform: HttpPlatform,
): HookTargets {
  const teller = (backend: BackendConfig): Teller =>
    httpTeller(backend, postTo(backend, bindings, platform), platform);
  return configuredHooks(config, teller, among);
}

/** Requests to one backend; each caller has bounds and circuits of its own. */
function postTo(config: BackendConfig, bindings: object, platform: HttpPlatform): Post {
  const sender = new FetchSender(config, fetchOf(config, bindings));
  const { binding, concurrency } = config;
  const most = binding === undefined ? Math.min(concurrency, MAX_CONNECTIONS) : concurrency;
  const guard = new BackendGuard({ ...config, concurrency: most }, platform);
  const post = guarded(guard, (request, cancellation) => sender.send(request, cancellation));
  const report = new CallReport({ ...platform, stats: () => guard.stats() });
  return (request, cancellation, timeoutMs) =>
    post(request, cancellation, timeoutMs).finally(() => report.ended());
}

function fetchOf({ binding, name }: BackendConfig, bindings: object): Fetch {
  if (binding === undefined) return (url, init) => fetch(url, init);
  const bound = bindingOf(bindings, binding);
  // The settings have looked. What was meant for a Worker of one's own must not go anywhere else.
  if (bound === undefined) throw new Error(`the backend ${name} has no service binding`);
  return bound;
}
