/**
 * What an operator may set, checked the same way on every host. Where the values come from, a
 * Worker's variables or a file, is the host's affair; a host with keys of its own builds a larger
 * table around the entries here.
 */
import * as v from "valibot";
import { RuleBook } from "../../channels/rules.ts";
import {
  AUTH_TIMEOUT_MS,
  CONNECT_DEADLINE_MS,
  CREDIT_BYTES,
  IDLE_TIMEOUT_MS,
  MAX_CHANNELS,
  MAX_ERRORS,
  MAX_IN_FLIGHT_RPCS,
  MAX_MESSAGE_BYTES,
  MAX_OPEN_REQUEST_BYTES,
  MAX_SUBSCRIPTIONS,
  MAX_SURVEY_AUDIENCE,
  MAX_USER_CONNECTIONS,
  NEW_CHANNELS_PER_MINUTE,
  OPEN_SURVEYS,
  PING_INTERVAL_MS,
  PUBLISHES_PER_SECOND,
  RECOVERY_BYTES,
  RECOVERY_MESSAGES,
  RPC_TIMEOUT_MS,
  SURVEY_ANSWER_BYTES,
  SURVEY_AUDIENCE,
  SURVEY_RESULT_BYTES,
  SURVEYS_PER_MINUTE,
} from "../../protocol/limits.ts";
import { accessRules } from "./access.ts";
import { channelRules } from "./channels.ts";
import { formatDuration } from "./duration.ts";
import { checkSettings, type SettingPath, settingPaths, table } from "./table.ts";
import { durations, durationsFrom, someOf, wholeNumbers } from "./values.ts";

export { type Secrets, secretList, secretText, textElsewhere } from "./secrets.ts";
export {
  checkSettings,
  distinct,
  type Host,
  only,
  type SettingPath,
  type SettingProblem,
  SettingsError,
  settingPaths,
  table,
  together,
  type Wrong,
} from "./table.ts";
export {
  durations,
  durationsFrom,
  key,
  type LogLevel,
  logLevels,
  oneOf,
  someOf,
  switches,
  textsWithout,
  unset,
  wholeNumbers,
} from "./values.ts";

/** Checked settings in the engine's own units. What each means stands in docs/limits.md. */
export type Settings = Readonly<ReturnType<typeof toSettings>>;

/** The kinds of inbound message that a deployment can switch off, by their names on the wire. */
export const MESSAGE_KINDS = [
  "publish",
  "subscribe",
  "unsubscribe",
  "rpc_request",
  "refresh",
  "sub_refresh",
  "survey_request",
  "survey_response",
  "history_request",
  "presence_request",
] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

/** For what a deployment cannot work without: nothing can be done in no time. */
const timeouts = durationsFrom(1);

const rates = v.pipe(
  v.number("must be a number of at least 0"),
  v.finite("must be a number of at least 0"),
  v.minValue(0, "must be a number of at least 0"),
);

const heartbeat = v.pipe(
  table({
    idle_timeout: v.optional(timeouts, formatDuration(IDLE_TIMEOUT_MS)),
    ping_interval: v.optional(durations, formatDuration(PING_INTERVAL_MS)),
  }),
  v.forward(
    v.check(
      ({ ping_interval, idle_timeout }) => ping_interval < idle_timeout,
      `must be less than idle_timeout; the default is ${formatDuration(PING_INTERVAL_MS)}`,
    ),
    ["ping_interval"],
  ),
);

export const serverEntries = {
  heartbeat: v.optional(heartbeat, {}),
  connect_deadline: v.optional(timeouts, formatDuration(CONNECT_DEADLINE_MS)),
  rpc_timeout: v.optional(timeouts, formatDuration(RPC_TIMEOUT_MS)),
  auth_timeout: v.optional(timeouts, formatDuration(AUTH_TIMEOUT_MS)),
  disabled_messages: v.optional(
    v.pipe(
      someOf(MESSAGE_KINDS),
      v.check((kinds) => new Set(kinds).size === kinds.length, "must not name a kind twice"),
    ),
    [],
  ),
};

export const limitsEntries = {
  message_bytes: v.optional(wholeNumbers(1_024, 1_048_576), MAX_MESSAGE_BYTES),
  subscriptions_per_client: v.optional(wholeNumbers(1), MAX_SUBSCRIPTIONS),
  connections_per_user: v.optional(wholeNumbers(0), MAX_USER_CONNECTIONS),
  publishes_per_second: v.optional(rates, PUBLISHES_PER_SECOND),
  // Its default depends on another setting, so the description has to stand in for it.
  publish_burst: v.optional(
    v.pipe(wholeNumbers(1), v.description("publishes_per_second rounded up, at least 1")),
  ),
  rpcs_in_flight: v.optional(wholeNumbers(1), MAX_IN_FLIGHT_RPCS),
  errors_per_minute: v.optional(wholeNumbers(1), MAX_ERRORS),
  open_request_bytes: v.optional(wholeNumbers(65_536), MAX_OPEN_REQUEST_BYTES),
  credit_bytes: v.optional(wholeNumbers(65_536), CREDIT_BYTES),
  recovery_messages: v.optional(wholeNumbers(1), RECOVERY_MESSAGES),
  recovery_bytes: v.optional(wholeNumbers(65_536), RECOVERY_BYTES),
  channels: v.optional(wholeNumbers(1), MAX_CHANNELS),
  new_channels_per_minute: v.optional(wholeNumbers(0), NEW_CHANNELS_PER_MINUTE),
  survey_audience: v.optional(wholeNumbers(1, MAX_SURVEY_AUDIENCE), SURVEY_AUDIENCE),
  survey_answer_bytes: v.optional(wholeNumbers(1, 1_048_576), SURVEY_ANSWER_BYTES),
  // What a node sends another in one answer is limited as well.
  survey_result_bytes: v.optional(wholeNumbers(1, 8_388_608), SURVEY_RESULT_BYTES),
  surveys_per_minute: v.optional(wholeNumbers(1), SURVEYS_PER_MINUTE),
  open_surveys: v.optional(wholeNumbers(1), OPEN_SURVEYS),
};

/** A burst belongs to a rate. Every table of limits is checked with it, on all hosts. */
export function burstHasRate(limits: {
  readonly publish_burst?: number | undefined;
  readonly publishes_per_second: number;
}): boolean {
  return limits.publish_burst === undefined || limits.publishes_per_second > 0;
}
export const BURST_WITHOUT_RATE = "does nothing without publishes_per_second";

/** The settings that every host has. */
export const settingsEntries = {
  server: v.optional(table(serverEntries), {}),
  limits: v.optional(
    v.pipe(
      table(limitsEntries),
      v.forward(
        v.check((limits) => burstHasRate(limits), BURST_WITHOUT_RATE),
        ["publish_burst"],
      ),
    ),
    {},
  ),
  channels: channelRules,
  access: accessRules,
};

const settingsSchema = v.optional(table(settingsEntries), {});

/** Every setting that all hosts have, with its default, as an operator would write both. */
export const SETTING_PATHS: readonly SettingPath[] = settingPaths(settingsSchema);

export const DEFAULT_SETTINGS: Settings = parseSettings({});

/**
 * Settings out of a value that came from outside; undefined stands for an empty table.
 *
 * @throws SettingsError
 */
export function parseSettings(value: unknown): Settings {
  return toSettings(checkSettings(settingsSchema, value));
}

/** Checked tables as the engine takes them; a host's table may have more keys than these. */
export function toSettings({
  server,
  limits,
  channels,
  access,
}: v.InferOutput<typeof settingsSchema>) {
  return {
    idleTimeoutMs: server.heartbeat.idle_timeout,
    pingIntervalMs: server.heartbeat.ping_interval,
    connectDeadlineMs: server.connect_deadline,
    rpcTimeoutMs: server.rpc_timeout,
    authTimeoutMs: server.auth_timeout,
    disabledMessages: server.disabled_messages as readonly MessageKind[],
    maxMessageBytes: limits.message_bytes,
    maxSubscriptions: limits.subscriptions_per_client,
    /** Of one user, on all nodes; 0 means no limit. */
    maxUserConnections: limits.connections_per_user,
    /** 0 means no limit. */
    publishesPerSecond: limits.publishes_per_second,
    publishBurst: limits.publish_burst ?? Math.max(1, Math.ceil(limits.publishes_per_second)),
    maxInFlightRpcs: limits.rpcs_in_flight,
    maxErrors: limits.errors_per_minute,
    maxOpenRequestBytes: limits.open_request_bytes,
    creditBytes: limits.credit_bytes,
    /** Channels and patterns of the node. */
    maxChannels: limits.channels,
    /** Of one session; 0 means no limit. */
    newChannelsPerMinute: limits.new_channels_per_minute,
    /** Messages that the subscriptions of one request may replay. */
    recoveryMessages: limits.recovery_messages,
    /** Bytes that the subscriptions of one request may replay. */
    recoveryBytes: limits.recovery_bytes,
    /** Subscribers that a survey of a client may ask. */
    surveyAudience: limits.survey_audience,
    /** Bytes of one answer to a survey. */
    surveyAnswerBytes: limits.survey_answer_bytes,
    /** Bytes of all answers to one survey. */
    surveyResultBytes: limits.survey_result_bytes,
    /** Of one session. */
    surveysPerMinute: limits.surveys_per_minute,
    /** Of the node. */
    openSurveys: limits.open_surveys,
    /** What each channel keeps and offers. */
    rules: new RuleBook(channels),
    /** What users may do in which channels. */
    access,
  };
}
