/**
 * The configuration of the self-hosted server, checked as a whole before anything starts. Where the text comes
 * from is the command line's affair.
 */
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../channels/rules.ts";
import { type Address, parseAddress } from "../../config/address.ts";
import { redisConfig } from "../../config/redis.ts";
import { type CheckedConfig, configSchema } from "../../config/schema.ts";
import { sharedConfig } from "../../config/shared.ts";
import { formatDuration } from "../../engine/settings/duration.ts";
import { type Origin, settingsInForce } from "../../engine/settings/in-force.ts";
import { readSettings } from "../../engine/settings/secrets.ts";
import {
  type LogLevel,
  type Secrets,
  type Settings,
  SettingsError,
  toSettings,
} from "../../engine/settings/settings.ts";

/** Certificate and key, as paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface ListenerConfig {
  readonly address: Address;
  readonly tls: TlsFiles | undefined;
}

export type ServerConfig = Readonly<ReturnType<typeof parseConfig>>;

/** A program that hands in no secrets has none by name. */
const NO_SECRETS: Secrets = { named: () => undefined };
const OF_A_PROGRAM: Origin = { source: "program", origin: "" };

/**
 * Configuration out of a parsed file; undefined and null, an empty file, stand for the defaults.
 *
 * @param secrets where those are that stand there by name, or in a file. Default nowhere.
 * @param originOf where what stands at a path comes from. Default: the program.
 * @throws SettingsError naming the path of everything that is wrong
 * @example
 * parseConfig({ limits: { publishes_per_second: 10 } });
 */
export function parseConfig(
  value: unknown,
  secrets: Secrets = NO_SECRETS,
  originOf: (path: string) => Origin = () => OF_A_PROGRAM,
) {
  const checked = readSettings(configSchema, value ?? undefined, "server", secrets);
  const { api, server, transport, broker, limits } = checked;
  const { websocket, grpc } = transport;
  const settings = withReadTimeout(toSettings(checked), websocket.read_timeout ?? 0);
  const redis = broker.type === "redis" ? redisConfig(broker.redis) : undefined;
  return {
    settings: redis === undefined ? settings : { ...settings, rules: rulesOf(checked) },
    /** The broker of many processes; undefined for the one in memory. */
    redis,
    ...sharedConfig(checked, "server"),
    /** Each setting with its value and where it comes from, without secrets. */
    inForce: settingsInForce(configSchema, value ?? undefined, "server", originOf),
    /** Threads of the process; "auto" for one for each processor. */
    workers: server.workers,
    maxConnections: limits.connections,
    /** Bytes of messages that the broker in memory keeps. */
    maxRetainedBytes: limits.retained_bytes,
    /** How long clients and queues have when the server stops, in milliseconds. */
    drainTimeoutMs: server.drain_timeout,
    websocket: {
      ...listenerOf(websocket, ":9080"),
      path: websocket.path,
      allowedOrigins: websocket.allowed_origins,
      /** Names of the server; without any every name is its own. */
      allowedHosts: websocket.allowed_hosts,
      /** Whether frames are compressed for clients that offer it. */
      compression: websocket.compression,
    },
    /** The server API. */
    api: {
      /** The keys of its callers; without any it is closed. */
      keys: api.keys,
      /** What tickets are signed with, the first of them; none are made without any. */
      ticketKeys: api.ticket_keys,
      /** Whether the ports for clients have it beside the admin port. */
      public: api.public,
      /** Whether the gRPC port says which services it has. */
      reflection: api.reflection,
    },
    /** Addresses and networks of proxies that say where a client comes from. */
    trustedProxies: transport.trusted_proxies,
    grpc: listenerOf(grpc, ":9090"),
    /** Health and metrics. */
    http: listenerOf(server.http, "127.0.0.1:8080"),
  };
}

export { type LogLevel, SettingsError };

/** With Redis the original's two settings of its streams are those of channels that no rule is for. */
function rulesOf({ channels, broker }: CheckedConfig): RuleBook {
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
