/**
 * Every setting of every host, in one tree: the keys that the original documents and ours. A setting is for all
 * hosts unless it is marked with the only one that has it, and what is added here is checked, listed and bundled
 * everywhere.
 */
import * as v from "valibot";
import { authEntries } from "../auth/settings.ts";
import { accessRules } from "../engine/settings/access.ts";
import { channelRules } from "../engine/settings/channels.ts";
import {
  BURST_WITHOUT_RATE,
  burstHasRate,
  durations,
  limitsEntries,
  logLevels,
  only,
  type SettingPath,
  serverEntries,
  settingPaths,
  switches,
  table,
  unset,
  wholeNumbers,
} from "../engine/settings/settings.ts";
import { keyEntries } from "../http/keys/settings.ts";
import { allowedHosts, allowedOrigins } from "../http/origins.ts";
import { streamEntries } from "../http/streaming/settings.ts";
import { ticketKeyEntries } from "../http/tickets/settings.ts";
import {
  MAX_QUEUE_BYTES,
  MAX_RETAINED_BYTES,
  MAX_SOCKETS,
  MAX_UNHEARD_BYTES,
  MAX_UPGRADES_PER_SECOND,
} from "../protocol/limits.ts";
import { isNetwork } from "../proxy/addresses.ts";
import {
  hookEntries,
  hooksHaveBackends,
  proxyEntries,
  rpcEntries,
} from "../proxy/settings/settings.ts";
import { type Address, parseAddress } from "./address.ts";
import { redis } from "./redis.ts";
import { tracingEntries } from "./tracing.ts";

/** Threads that one process may have. */
export const MAX_WORKERS = 64;
/** Connections that one process holds by default. */
const MAX_CONNECTIONS = 100_000;

const NOT_AN_ADDRESS = 'must be an address such as ":9080" or "127.0.0.1:9080"';
const addresses = v.pipe(
  v.string(NOT_AN_ADDRESS),
  v.transform(parseAddress),
  v.check((address) => address !== undefined, NOT_AN_ADDRESS),
  v.transform((address) => address as Address),
);

const NOT_A_NETWORK = "must be an address or a network such as 10.0.0.0/8";
const networks = v.pipe(v.string(NOT_A_NETWORK), v.check(isNetwork, NOT_A_NETWORK));

const NOT_A_PATH = "must be a path such as /ws";
const paths = v.pipe(v.string(NOT_A_PATH), v.regex(/^\/[\w\-./~]*$/, NOT_A_PATH));

const NOT_A_FILE = "must be the path of a file";
const pemFiles = v.pipe(v.string(NOT_A_FILE), v.nonEmpty(NOT_A_FILE), v.description("none"));

const CLOUDFLARE_LISTENS = "Cloudflare listens for a Worker, and speaks TLS";

const NOT_WORKERS = `must be "auto" or a whole number from 1 to ${MAX_WORKERS}`;
const workers = v.pipe(
  v.union([v.number(), v.literal("auto")], NOT_WORKERS),
  v.check(
    (count) => count === "auto" || (Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS),
    NOT_WORKERS,
  ),
);

/** A listener's address has two names: `addr`, and `address` as the original's README has it. */
function listener<const More extends v.ObjectEntries>(standard: string, more: More) {
  return v.pipe(
    table({
      addr: only(
        "server",
        v.optional(v.pipe(addresses, v.description(standard))),
        CLOUDFLARE_LISTENS,
      ),
      address: only(
        "server",
        v.optional(v.pipe(addresses, v.description("addr"))),
        CLOUDFLARE_LISTENS,
      ),
      tls: only("server", v.optional(table({ cert: pemFiles, key: pemFiles })), CLOUDFLARE_LISTENS),
      ...more,
    }),
    v.forward(
      v.check((entries) => {
        const { addr, address } = entries as { addr?: Address; address?: Address };
        return addr === undefined || address === undefined;
      }, "is another name of addr: use one of them"),
      ["address"] as never,
    ),
  );
}

const server = table({
  ...serverEntries,
  ...rpcEntries,
  http: only(
    "server",
    v.optional(listener("127.0.0.1:8080", {}), {}),
    "a Worker has its health at its own address, and no metrics",
  ),
  drain_timeout: only("server", v.optional(durations, "10s"), "nobody tells a Worker to stop"),
  workers: only(
    "server",
    v.optional(workers, 1),
    "the platform runs as many objects as are needed",
  ),
  log_level: v.optional(logLevels, "info"),
});

const websocket = listener(":9080", {
  path: only("server", v.optional(paths, "/ws"), "a Worker has WebSocket at /ws"),
  allowed_origins: v.optional(allowedOrigins, []),
  allowed_hosts: v.optional(allowedHosts, []),
  compression: only(
    "server",
    v.optional(switches, false),
    "on Workers nothing is compressed, as the runtime would do it for each client anew",
  ),
  read_timeout: only("server", unset(durations), "server.heartbeat.idle_timeout is for both"),
});

const transport = table({
  websocket: v.optional(websocket, {}),
  grpc: only(
    "server",
    v.optional(listener(":9090", {}), {}),
    "Workers have no gRPC, and their clients use WebSocket, Connect or gRPC-Web",
  ),
  stream: streamEntries,
  trusted_proxies: only(
    "server",
    v.optional(v.array(networks, "must be a list of networks"), []),
    "Cloudflare knows the address of a client",
  ),
});

const api = table({
  keys: v.optional(keyEntries, []),
  ticket_keys: v.optional(ticketKeyEntries, []),
  public: only(
    "server",
    v.optional(switches, false),
    "a Worker has one address, and the API is there",
  ),
  reflection: only("server", v.optional(switches, false), "Workers have no gRPC"),
  metrics: only(
    "worker",
    v.optional(switches, false),
    "the server has its metrics at server.http, where they cost nothing",
  ),
});

const broker = table({
  type: v.optional(
    v.picklist(["memory", "redis"], 'is unknown: there are "memory" and "redis"'),
    "memory",
  ),
  redis,
});

const limits = v.pipe(
  table({
    ...limitsEntries,
    connections: only(
      "server",
      v.optional(wholeNumbers(1), MAX_CONNECTIONS),
      "a gateway has limits.sockets_per_gateway",
    ),
    queue_bytes: v.optional(wholeNumbers(65_536), MAX_QUEUE_BYTES),
    retained_bytes: only(
      "server",
      v.optional(wholeNumbers(1_048_576), MAX_RETAINED_BYTES),
      "a channel has a database of its own",
    ),
    unheard_bytes: only(
      "worker",
      v.optional(wholeNumbers(65_536), MAX_UNHEARD_BYTES),
      "the server sees what waits for a client, and has limits.queue_bytes",
    ),
    sockets_per_gateway: only(
      "worker",
      v.optional(wholeNumbers(1, 32_000), MAX_SOCKETS),
      "the server has limits.connections",
    ),
    upgrades_per_second: only(
      "worker",
      v.optional(wholeNumbers(1), MAX_UPGRADES_PER_SECOND),
      "there are no gateways",
    ),
  }),
  v.forward(
    v.check((limits) => burstHasRate(limits), BURST_WITHOUT_RATE),
    ["publish_burst"],
  ),
);

const everything = table({
  server: v.optional(server, {}),
  transport: v.optional(transport, {}),
  api: v.optional(api, {}),
  auth: authEntries,
  broker: only("server", v.optional(broker, {}), "on Workers channels are kept by Durable Objects"),
  limits: v.optional(limits, {}),
  channels: channelRules,
  access: accessRules,
  proxy: proxyEntries,
  hooks: hookEntries,
  tracing: tracingEntries,
});

export const configSchema = v.optional(
  v.pipe(everything, hooksHaveBackends<v.InferOutput<typeof everything>>()),
  {},
);

/** All settings with their defaults filled in, in the units of an operator's table. */
export type CheckedConfig = v.InferOutput<typeof configSchema>;

/** Every setting of the self-hosted server with its default. */
export const SERVER_SETTING_PATHS: readonly SettingPath[] = settingPaths(configSchema, "server");

/** Every setting of Workers with its default. */
export const WORKER_SETTING_PATHS: readonly SettingPath[] = settingPaths(configSchema, "worker");
