/** The servers that cases run against. Each differs from the defaults in what its cases need. */
import type { ServerOptions } from "./host.ts";

export const TIGHT = {
  idleMs: 3_000,
  connectDeadlineMs: 1_000,
  rpcTimeoutMs: 500,
  subscriptions: 5,
  publishBurst: 5,
  rpcsInFlight: 2,
  errors: 5,
  connections: 3,
} as const;

export const RULES = {
  recoveryMessages: 30,
  recoveryBytes: 65_536,
  messageBytes: 4_096,
  historySize: 4,
  historyTtlMs: 1_000,
  graceMs: 800,
} as const;

export const VARIANTS = {
  /** As a deployment that sets nothing. */
  plain: { backend: "none" },
  /** With the suite's backend, everyone anonymous. */
  backend: { backend: "open" },
  /** With channels that keep little or offer little, by the first word of their names. */
  rules: {
    backend: "open",
    settings: {
      limits: {
        message_bytes: RULES.messageBytes,
        recovery_messages: RULES.recoveryMessages,
        recovery_bytes: RULES.recoveryBytes,
      },
      channels: [
        { pattern: "short.**", history_size: RULES.historySize },
        { pattern: "brief.**", history_ttl: `${RULES.historyTtlMs}ms`, position_ttl: "1h" },
        { pattern: "lost.**", recovery: false },
        { pattern: "transient.**", transient: true },
        { pattern: "again.**", exactly_once: false },
        { pattern: "grace.**", presence_grace: `${RULES.graceMs}ms` },
        { pattern: "quiet.**", presence: false },
      ],
    },
  },
  /** With authentication that everyone must pass, in little time. */
  auth: { backend: "closed", settings: { server: { auth_timeout: "1s" } } },
  /** With limits that are quickly met, and two kinds of message switched off. */
  tight: {
    backend: "open",
    settings: {
      server: {
        heartbeat: { idle_timeout: `${TIGHT.idleMs}ms`, ping_interval: "1s" },
        connect_deadline: `${TIGHT.connectDeadlineMs}ms`,
        rpc_timeout: `${TIGHT.rpcTimeoutMs}ms`,
        disabled_messages: ["sub_refresh", "history_request"],
      },
      limits: {
        subscriptions_per_client: TIGHT.subscriptions,
        publishes_per_second: 1,
        publish_burst: TIGHT.publishBurst,
        rpcs_in_flight: TIGHT.rpcsInFlight,
        errors_per_minute: TIGHT.errors,
        open_request_bytes: 65_536,
      },
    },
  },
  /** With room for few connections. */
  full: { backend: "none", maxConnections: TIGHT.connections },
  /** As `plain`, for what takes long and measures: at the end, on a server that is fresh. */
  load: { backend: "none" },
} as const satisfies Record<string, ServerOptions>;

export type Variant = keyof typeof VARIANTS;
