/** The servers that cases run against. Each differs from the defaults in what its cases need. */
import type { ServerOptions } from "./host.ts";

/**
 * Limits in time are short, because cases wait for them, and long enough that what is meant to come before does so on a
 * busy machine.
 */
export const TIGHT = {
  idleMs: 3_000,
  connectDeadlineMs: 2_000,
  rpcTimeoutMs: 2_000,
  subscriptions: 5,
  publishBurst: 5,
  rpcsInFlight: 2,
  errors: 5,
  connections: 3,
  heartbeatMs: 250,
} as const;

export const RULES = {
  recoveryMessages: 30,
  recoveryBytes: 65_536,
  messageBytes: 4_096,
  historySize: 4,
  historyTtlMs: 2_000,
  graceMs: 1_500,
} as const;

/** Bounds of surveys, on the server that is `rules`. */
export const SURVEYS = {
  audience: 5,
  answerBytes: 500,
  resultBytes: 1_200,
  perMinute: 4,
  open: 3,
} as const;

/**
 * A host that is not told that a reader has left finds out by heartbeats, and a case ends when nothing of it is left.
 */
const WITH_READERS = {
  keys: true,
  stream: { heartbeat_interval: `${TIGHT.heartbeatMs}ms` },
} as const;

/** Of each user, on the server that is `counted`. */
export const USER_CONNECTIONS = 2;

/** Of streams, on the server that is `brief`. */
export const SHORT = { heartbeatMs: 100, lifetimeMs: 5_000 } as const;

export const VARIANTS = {
  /** As a deployment that sets nothing. */
  plain: { backend: "none" },
  /** With the suite's backend, everyone anonymous. */
  backend: { backend: "open", ...WITH_READERS },
  /** With channels that keep little or offer little, by the first word of their names. */
  rules: {
    backend: "open",
    ...WITH_READERS,
    settings: {
      limits: {
        message_bytes: RULES.messageBytes,
        recovery_messages: RULES.recoveryMessages,
        recovery_bytes: RULES.recoveryBytes,
        survey_audience: SURVEYS.audience,
        survey_answer_bytes: SURVEYS.answerBytes,
        survey_result_bytes: SURVEYS.resultBytes,
        surveys_per_minute: SURVEYS.perMinute,
        open_surveys: SURVEYS.open,
      },
      channels: [
        { pattern: "short.**", history_size: RULES.historySize },
        { pattern: "brief.**", history_ttl: `${RULES.historyTtlMs}ms`, position_ttl: "1h" },
        { pattern: "lost.**", recovery: false },
        { pattern: "transient.**", transient: true },
        { pattern: "again.**", exactly_once: false },
        { pattern: "grace.**", presence_grace: `${RULES.graceMs}ms` },
        { pattern: "quiet.**", presence: false },
        { pattern: "poll.**", survey: true },
        { pattern: "public.**", public: true },
      ],
    },
  },
  /** With authentication that everyone must pass, in little time. */
  auth: { backend: "closed", ...WITH_READERS, settings: { server: { auth_timeout: "2s" } } },
  /** With rules of access, and authentication that everyone must pass. */
  ruled: {
    backend: "closed",
    ...WITH_READERS,
    settings: {
      channels: [
        // Of these the first two are nobody's, and the third is grace's alone.
        { pattern: "elsewhere.**", dedup_window: "31s" },
        { pattern: "open.sealed.**", dedup_window: "32s" },
        { pattern: "can.rpc.**", dedup_window: "1m" },
        { pattern: "open.**", dedup_window: "2m" },
        { pattern: "denied.**", exactly_once: false },
      ],
      access: {
        default: "deny",
        rules: [
          // What denies stands first and last.
          { channels: ["open.*.sealed"], effect: "deny" },
          { channels: ["open.**", "denied.**"], effect: "allow" },
          { channels: ["open.forgetful.**"], effect: "deny", actions: ["history"] },
          { channels: ["joined", "joined.*.**"], effect: "allow" },
          { channels: ["inbox.{user}.**"], effect: "allow" },
          { channels: ["device.{client}.**"], effect: "allow" },
          // All of it to one user, and one action at a time to everybody.
          { channels: ["can.**"], effect: "allow", users: ["grace"] },
          { channels: ["can.subscribe.**"], effect: "allow", actions: ["subscribe"] },
          { channels: ["can.publish.**"], effect: "allow", actions: ["publish"] },
          { channels: ["can.presence.**"], effect: "allow", actions: ["subscribe", "presence"] },
          { channels: ["can.history.**"], effect: "allow", actions: ["subscribe", "history"] },
          { channels: ["can.survey.**"], effect: "allow", actions: ["survey"] },
          { channels: ["can.rpc.**"], effect: "allow", actions: ["rpc"] },
          { channels: ["open.sealed.**"], effect: "deny" },
        ],
      },
    },
  },
  /** With few connections for each user. */
  counted: {
    backend: "closed",
    ...WITH_READERS,
    settings: { limits: { connections_per_user: USER_CONNECTIONS } },
  },
  /** With limits that are quickly met, and two kinds of message switched off. */
  tight: {
    backend: "open",
    ...WITH_READERS,
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
  full: { backend: "none", ...WITH_READERS, maxConnections: TIGHT.connections },
  /** With streams that live for a short time. */
  brief: {
    backend: "none",
    keys: true,
    stream: { heartbeat_interval: `${SHORT.heartbeatMs}ms`, lifetime: `${SHORT.lifetimeMs}ms` },
  },
  /** As `plain`, for what takes long and measures: at the end, on a server that is fresh. */
  load: { backend: "none" },
} as const satisfies Record<string, ServerOptions>;

export type Variant = keyof typeof VARIANTS;
