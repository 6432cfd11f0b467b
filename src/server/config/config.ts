/**
 * The configuration of the self-hosted server: the keys that the original documents and ours, checked as
 * a whole before anything starts. Where the text comes from is the command line's affair.
 */
import * as v from "valibot";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../channels/rules.ts";
import { formatDuration } from "../../engine/settings/duration.ts";
import {
  BURST_WITHOUT_RATE,
  burstHasRate,
  checkSettings,
  durations,
  type LogLevel,
  limitsEntries,
  logLevels,
  type SettingPath,
  type Settings,
  SettingsError,
  serverEntries,
  settingPaths,
  settingsEntries,
  table,
  toSettings,
  unset,
  wholeNumbers,
} from "../../engine/settings/settings.ts";
import { allowedHosts, allowedOrigins } from "../../http/origins.ts";
import { MAX_RETAINED_BYTES } from "../../protocol/limits.ts";
import { type Address, parseAddress } from "./address.ts";
import { isNetwork } from "./network.ts";
import { type RedisConfig, redis, redisConfig } from "./redis.ts";

/** Certificate and key, as paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface ListenerConfig {
  readonly address: Address;
  readonly tls: TlsFiles | undefined;
}

export interface ServerConfig {
  readonly settings: Settings;
  readonly maxConnections: number;
  readonly maxQueueBytes: number;
  /** Bytes of messages that the broker in memory keeps. */
  readonly maxRetainedBytes: number;
  /** How long clients and queues have when the server stops, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly websocket: ListenerConfig & {
    readonly path: string;
    readonly allowedOrigins: readonly string[];
    /** Names of the server; without any every name is its own. */
    readonly allowedHosts: readonly string[];
  };
  /** Addresses and networks of proxies that say where a client comes from. */
  readonly trustedProxies: readonly string[];
  readonly grpc: ListenerConfig;
  /** Health and metrics. */
  readonly http: ListenerConfig;
  /** The broker of many processes; undefined for the one in memory. */
  readonly redis: RedisConfig | undefined;
}

/** Connections that one process holds unless told otherwise. */
const MAX_CONNECTIONS = 100_000;
/** Bytes that may wait for one connection unless told otherwise. */
const MAX_QUEUE_BYTES = 8 * 1024 * 1024;

const NOT_AN_ADDRESS = 'must be an address such as ":9080" or "127.0.0.1:9080"';
const addresses = v.pipe(
  v.string(NOT_AN_ADDRESS),
  v.transform(parseAddress),
  v.check((address) => address !== undefined, NOT_AN_ADDRESS),
  v.transform((address) => address as Address),
);

const NOT_A_NETWORK = "must be an address or a network such as 10.0.0.0/8";
const networks = v.pipe(v.string(NOT_A_NETWORK), v.check(isNetwork, NOT_A_NETWORK));

function texts(message: string) {
  return v.pipe(v.string(message), v.nonEmpty(message));
}

const pemFiles = v.pipe(texts("must be the path of a file"), v.description("none"));
const tls = v.optional(table({ cert: pemFiles, key: pemFiles }));

/** A listener's address has two names: `addr`, and `address` as the original's README has it. */
function listener<const More extends v.ObjectEntries>(standard: string, more: More) {
  return v.pipe(
    table({
      addr: v.optional(v.pipe(addresses, v.description(standard))),
      address: v.optional(v.pipe(addresses, v.description("addr"))),
      tls,
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

const schema = v.optional(
  table({
    server: v.optional(
      table({
        ...serverEntries,
        http: v.optional(listener("127.0.0.1:8080", {}), {}),
        drain_timeout: v.optional(durations, "10s"),
        log_level: v.optional(logLevels, "info"),
      }),
      {},
    ),
    transport: v.optional(
      table({
        websocket: v.optional(
          listener(":9080", {
            path: v.optional(
              v.pipe(
                v.string("must be a path such as /ws"),
                v.regex(/^\/[\w\-./~]*$/, "must be a path such as /ws"),
              ),
              "/ws",
            ),
            allowed_origins: v.optional(allowedOrigins, []),
            allowed_hosts: v.optional(allowedHosts, []),
            read_timeout: unset(durations),
          }),
          {},
        ),
        grpc: v.optional(listener(":9090", {}), {}),
        trusted_proxies: v.optional(v.array(networks, "must be a list of networks"), []),
      }),
      {},
    ),
    broker: v.optional(
      table({
        type: v.optional(
          v.picklist(["memory", "redis"], 'is unknown: there are "memory" and "redis"'),
          "memory",
        ),
        redis,
      }),
      {},
    ),
    limits: v.optional(
      v.pipe(
        table({
          ...limitsEntries,
          connections: v.optional(wholeNumbers(1), MAX_CONNECTIONS),
          queue_bytes: v.optional(wholeNumbers(65_536), MAX_QUEUE_BYTES),
          retained_bytes: v.optional(wholeNumbers(1_048_576), MAX_RETAINED_BYTES),
        }),
        v.forward(
          v.check((limits) => burstHasRate(limits), BURST_WITHOUT_RATE),
          ["publish_burst"],
        ),
      ),
      {},
    ),
    channels: settingsEntries.channels,
  }),
  {},
);

/** Every setting of this host with its default. */
export const SERVER_SETTING_PATHS: readonly SettingPath[] = settingPaths(schema);

/**
 * Configuration out of a parsed file; undefined and null, an empty file, stand for the defaults.
 *
 * @throws SettingsError naming the path of everything that is wrong
 */
export function parseConfig(value: unknown): ServerConfig {
  const checked = checkSettings(schema, value ?? undefined);
  const { server, transport, broker, limits } = checked;
  const { websocket, grpc } = transport;
  const settings = withReadTimeout(toSettings(checked), websocket.read_timeout ?? 0);
  const redis = broker.type === "redis" ? redisConfig(broker.redis) : undefined;
  return {
    settings: redis === undefined ? settings : { ...settings, rules: rulesOf(checked) },
    redis,
    maxConnections: limits.connections,
    maxQueueBytes: limits.queue_bytes,
    maxRetainedBytes: limits.retained_bytes,
    drainTimeoutMs: server.drain_timeout,
    logLevel: server.log_level,
    websocket: {
      ...listenerOf(websocket, ":9080"),
      path: websocket.path,
      allowedOrigins: websocket.allowed_origins,
      allowedHosts: websocket.allowed_hosts,
    },
    trustedProxies: transport.trusted_proxies,
    grpc: listenerOf(grpc, ":9090"),
    http: listenerOf(server.http, "127.0.0.1:8080"),
  };
}

export { type LogLevel, SettingsError };

/** With Redis the original's two settings of its streams are those of channels that no rule is for. */
function rulesOf({ channels, broker }: v.InferOutput<typeof schema>): RuleBook {
  const { stream_max_length: length, history_ttl: ttl } = broker.redis ?? {};
  const { historySize, historyTtlMs } = DEFAULT_CHANNEL_RULES;
  return new RuleBook(channels, {
    ...DEFAULT_CHANNEL_RULES,
    historySize: length ?? historySize,
    historyTtlMs: ttl ?? historyTtlMs,
    positionTtlMs: ttl ?? historyTtlMs,
  });
}

/**
 * The original's read timeout is ours to keep by the idle timeout, which one sign of life satisfies as
 * well. As in Go, no time at all means that there is no timeout.
 */
function withReadTimeout(settings: Settings, readTimeoutMs: number): Settings {
  const { pingIntervalMs, idleTimeoutMs } = settings;
  if (readTimeoutMs === 0) return settings;
  if (readTimeoutMs <= pingIntervalMs) {
    const interval = formatDuration(pingIntervalMs);
    const message = `must be more than server.heartbeat.ping_interval, which is ${interval}`;
    throw new SettingsError([{ path: "transport.websocket.read_timeout", message }]);
  }
  return { ...settings, idleTimeoutMs: Math.min(idleTimeoutMs, readTimeoutMs) };
}

function listenerOf(
  entries: {
    readonly addr?: Address | undefined;
    readonly address?: Address | undefined;
    readonly tls?: TlsFiles | undefined;
  },
  standard: string,
): ListenerConfig {
  const address = entries.addr ?? entries.address ?? (parseAddress(standard) as Address);
  return { address, tls: entries.tls };
}
