/** The backends of a configuration, as the engine asks them. */
import type { Backends } from "../engine/ports/backends.ts";
import { MessagingError } from "../protocol/errors.ts";
import type { BackendConfig, ProxyConfig } from "./backend-config.ts";
import { createRouter, type ProxyRouter } from "./router.ts";

/**
 * Backends out of a configuration.
 *
 * @param reach makes what asks one backend, over whichever network
 */
export function configuredBackends(
  { backends, hooks, rpcEcho }: ProxyConfig,
  reach: (backend: BackendConfig) => Backends,
): Backends {
  const reached = new Map(backends.map((backend) => [backend.name, reach(backend)]));
  const router = createRouter();
  for (const { name, routes } of backends) {
    for (const route of routes) router.add(route, reached.get(name) ?? {});
  }
  const authenticator = hooks.byRoutes ? router : reached.get(hooks.authenticate ?? "");
  const authorizer = hooks.byRoutes ? router : reached.get(hooks.subscribe ?? "");
  return {
    authenticate: authenticator?.authenticate?.bind(authenticator),
    authorizeSubscribe: authorizer?.authorizeSubscribe?.bind(authorizer),
    // Without backends the engine lets a request come back by itself.
    rpc: backends.length === 0 && rpcEcho ? undefined : rpcOf(router, rpcEcho),
  };
}

function rpcOf(router: ProxyRouter, echo: boolean): NonNullable<Backends["rpc"]> {
  return (request, cancellation) => {
    const backend = router.find(request.channel, request.method);
    if (backend?.rpc !== undefined) return backend.rpc(request, cancellation);
    if (echo) return Promise.resolve(request.payload);
    const text = "no backend is for this channel and method";
    return Promise.reject(new MessagingError("UNIMPLEMENTED", text));
  };
}

/**
 * A program's own functions, and for what they leave out those of the configuration.
 *
 * @param own may come to have more of them later, as a router does
 */
export function over(own: Backends, configured: Backends): Backends {
  return {
    get authenticate() {
      return own.authenticate?.bind(own) ?? configured.authenticate;
    },
    get authorizeSubscribe() {
      return own.authorizeSubscribe?.bind(own) ?? configured.authorizeSubscribe;
    },
    get rpc() {
      return own.rpc?.bind(own) ?? configured.rpc;
    },
  };
}
