/** What the configuration says of backends, as the calls take it. */
import { type Host, type SettingProblem, SettingsError } from "../../engine/settings/settings.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import type { BackendConfig, ProxyConfig } from "../backend-config.ts";
import { Glob } from "../glob.ts";
import { AUTHENTICATE_METHOD, SUBSCRIBE_METHOD } from "../router.ts";
import { kindOf, nameOf, urlOf, type WrittenBackend, type WrittenHooks } from "./table.ts";

export {
  hookEntries,
  hooksHaveBackends,
  proxyEntries,
  rpcEntries,
  type WrittenHooks,
} from "./table.ts";

/** The checked tables. */
export interface WrittenProxy extends WrittenHooks {
  readonly server: {
    readonly rpc_echo?: boolean | undefined;
    readonly rpc_timeout: number;
    readonly auth_timeout: number;
  };
}

/**
 * The backends of a configuration, and which calls they answer.
 *
 * @throws SettingsError where one would be spoken to as the host cannot
 */
export function proxyConfig({ proxy, hooks, server }: WrittenProxy, host: Host): ProxyConfig {
  const problems = kindProblems(proxy, host);
  if (problems.length > 0) throw new SettingsError(problems);
  const backends = proxy.map((written, place) => backendConfig(written, place, server));
  const { authenticate, subscribe, compatibility, ...events } = hooks ?? {};
  return {
    backends,
    hooks: { authenticate, subscribe, events, byRoutes: compatibility !== undefined },
    rpcEcho: server.rpc_echo ?? backends.length === 0,
    warnings: [...unchecked(backends), ...unhooked({ proxy, hooks })],
  };
}

/** Backends that a host cannot speak to, of which nothing says so but that their endpoint is no URL. */
export function kindProblems(
  proxy: readonly Parameters<typeof kindOf>[0][],
  host: Host,
): SettingProblem[] {
  if (host === "server") return [];
  return proxy.flatMap((written, place) => {
    const message = "is no URL, so it is one of gRPC, which Workers do not have: use connect";
    return kindOf(written) === "grpc" ? [{ path: `proxy.${place}.endpoint`, message }] : [];
  });
}

function backendConfig(
  written: WrittenBackend,
  place: number,
  { rpc_timeout, auth_timeout }: WrittenProxy["server"],
): BackendConfig {
  const way = written[kindOf(written)];
  return {
    name: nameOf(written, place),
    kind: kindOf(written),
    url: urlOf(written),
    binding: written.binding,
    timeouts: {
      rpc: Math.min(written.timeout, rpc_timeout),
      access: Math.min(written.timeout, auth_timeout),
      events: written.timeout,
    },
    payload: written.http?.payload ?? "json",
    batchEvents: written.http?.batch_events ?? false,
    encoding: written.connect?.encoding ?? "proto",
    signingSecrets: written.signing_secrets.map(utf8Encode),
    headers: way?.headers ?? {},
    tls: {
      serverName: way?.tls?.server_name,
      insecureSkipVerify: way?.tls?.insecure_skip_verify ?? false,
    },
    allowedAddresses: written.allowed_addresses,
    maxResponseBytes: written.response_bytes,
    concurrency: written.concurrency,
    queue: written.queue,
    circuit: { failures: written.circuit_breaker.failures, pauseMs: written.circuit_breaker.pause },
    routes: written.routes,
  };
}

/** Certificates that are not looked at. */
function unchecked(backends: readonly BackendConfig[]): string[] {
  return backends
    .filter(({ tls }) => tls.insecureSkipVerify)
    .map(({ name }) => `proxy: the certificate of ${name} is not checked`);
}

/** The tables as a file has them, where it is valid: what has a default may be left out. */
export interface WrittenRoutes {
  readonly proxy?:
    | readonly {
        readonly routes?:
          | readonly {
              readonly channel?: string | undefined;
              readonly method?: string | undefined;
            }[]
          | undefined;
      }[]
    | undefined;
  readonly hooks?: WrittenHooks["hooks"];
}

/** A file of v0.1.1 means more by its routes than it does here, where hooks have names. */
export function unhooked(written: WrittenRoutes): string[] {
  if (written.hooks !== undefined) return [];
  const asked = askedByRoutes(written);
  return (["authenticate", "subscribe"] as const)
    .filter((hook) => asked[hook])
    .map((hook) => `hooks.${hook}: ${NOBODY}`);
}

/** What routes decide beside RPCs where they decide as in v0.1.1. */
export function askedByRoutes({ proxy = [] }: WrittenRoutes): {
  readonly authenticate: boolean;
  readonly subscribe: boolean;
} {
  const routes = proxy.flatMap((backend) => backend.routes ?? []);
  return {
    authenticate: routes.some(
      ({ channel = "", method = "" }) =>
        new Glob(channel).test("") && new Glob(method).test(AUTHENTICATE_METHOD),
    ),
    subscribe: routes.some(({ method = "" }) => new Glob(method).test(SUBSCRIBE_METHOD)),
  };
}

const NOBODY =
  "is not set, so nobody is asked, although a route of proxy decided it in v0.1.1: name a backend, " +
  "set hooks.compatibility, or leave hooks empty";
