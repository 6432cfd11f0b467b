/** What operators may set: defaults, bounds, and that nothing wrong or unknown is passed over. */
import * as v from "valibot";
import { expect, test } from "vitest";
import { type ChannelRules, DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { parseDuration } from "../../src/engine/settings/duration.ts";
import {
  DEFAULT_SETTINGS,
  durations,
  parseSettings,
  SETTING_PATHS,
  SettingsError,
  serverEntries,
  settingsEntries,
  toSettings,
} from "../../src/engine/settings/settings.ts";
import { checkSettings, settingPaths, table } from "../../src/engine/settings/table.ts";

/** A table in which one dotted path is set; `*` is the only place of a list, whose rule is for all. */
function at(path: string, value: unknown): unknown {
  const rule = path.startsWith("access.") ? DENY : { pattern: "**" };
  return path.split(".").reduceRight<unknown>((inner, key) => {
    return key === "*" ? [{ ...rule, ...(inner as object) }] : { [key]: inner };
  }, value);
}

/** A rule of access that has what it has to have. */
const DENY = { channels: ["a"], effect: "deny" };

/** What one rule says about a channel that it is for. */
function ruled(rule: Readonly<Record<string, unknown>>): ChannelRules {
  return parseSettings({ channels: [{ pattern: "**", ...rule }] }).rules.of("some.channel");
}

function problems(value: unknown): SettingsError["problems"] {
  try {
    parseSettings(value);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

test("without settings every limit has its default", () => {
  expect(parseSettings(undefined)).toEqual(DEFAULT_SETTINGS);
  expect(parseSettings({})).toEqual(DEFAULT_SETTINGS);
  expect(parseSettings({ server: { heartbeat: {} }, limits: {} })).toEqual(DEFAULT_SETTINGS);
  expect(DEFAULT_SETTINGS).toEqual({
    idleTimeoutMs: 300_000,
    pingIntervalMs: 25_000,
    connectDeadlineMs: 10_000,
    rpcTimeoutMs: 30_000,
    authTimeoutMs: 5_000,
    disabledMessages: [],
    maxMessageBytes: 65_536,
    maxSubscriptions: 1_000,
    maxUserConnections: 0,
    publishesPerSecond: 0,
    publishBurst: 1,
    maxInFlightRpcs: 32,
    maxErrors: 100,
    maxOpenRequestBytes: 4_194_304,
    creditBytes: 8_388_608,
    maxChannels: 200_000,
    newChannelsPerMinute: 6_000,
    recoveryMessages: 10_000,
    recoveryBytes: 4_194_304,
    surveyAudience: 1_000,
    surveyAnswerBytes: 16_384,
    surveyResultBytes: 1_048_576,
    surveysPerMinute: 10,
    openSurveys: 100,
    // What a book of rules says is compared below.
    rules: expect.any(RuleBook),
    access: { standard: "allow", rules: [] },
  });
  expect(DEFAULT_SETTINGS.rules.of("some.channel")).toBe(DEFAULT_CHANNEL_RULES);
  expect(parseSettings({ channels: [] }).rules.of("some.channel")).toBe(DEFAULT_CHANNEL_RULES);
});

const KINDS =
  "publish, subscribe, unsubscribe, rpc_request, refresh, sub_refresh, survey_request, survey_response, " +
  "history_request, presence_request";
const DURATION = 'must be a duration such as "30s"';

test.each([
  ["server.heartbeat.idle_timeout", "1m", "idleTimeoutMs", 60_000],
  ["server.heartbeat.ping_interval", "0s", "pingIntervalMs", 0],
  ["server.connect_deadline", "1ms", "connectDeadlineMs", 1],
  ["server.rpc_timeout", "1.5h", "rpcTimeoutMs", 5_400_000],
  ["server.auth_timeout", "576h", "authTimeoutMs", 2_073_600_000],
  ["server.disabled_messages", KINDS.split(", "), "disabledMessages", KINDS.split(", ")],
  ["limits.message_bytes", 1_024, "maxMessageBytes", 1_024],
  ["limits.message_bytes", 1_048_576, "maxMessageBytes", 1_048_576],
  ["limits.connections_per_user", 3, "maxUserConnections", 3],
  ["limits.subscriptions_per_client", 1, "maxSubscriptions", 1],
  ["limits.publishes_per_second", 0.5, "publishesPerSecond", 0.5],
  ["limits.rpcs_in_flight", 1, "maxInFlightRpcs", 1],
  ["limits.errors_per_minute", 1, "maxErrors", 1],
  ["limits.open_request_bytes", 65_536, "maxOpenRequestBytes", 65_536],
  ["limits.credit_bytes", 65_536, "creditBytes", 65_536],
  ["limits.channels", 1, "maxChannels", 1],
  ["limits.new_channels_per_minute", 0, "newChannelsPerMinute", 0],
  ["limits.recovery_messages", 1, "recoveryMessages", 1],
  ["limits.recovery_bytes", 65_536, "recoveryBytes", 65_536],
  ["limits.survey_audience", 10_000, "surveyAudience", 10_000],
  ["limits.survey_answer_bytes", 1, "surveyAnswerBytes", 1],
  ["limits.survey_result_bytes", 8_388_608, "surveyResultBytes", 8_388_608],
  ["limits.surveys_per_minute", 1, "surveysPerMinute", 1],
  ["limits.open_surveys", 1, "openSurveys", 1],
] as const)("%s: %j is taken", (path, value, name, expected) => {
  expect(parseSettings(at(path, value))[name]).toEqual(expected);
});

test.each([
  ["server.heartbeat.idle_timeout", "0s", "must be at least 1ms"],
  ["server.heartbeat.idle_timeout", 300, DURATION],
  ["server.heartbeat.ping_interval", "25", DURATION],
  ["server.heartbeat.ping_interval", null, DURATION],
  ["server.connect_deadline", "1ns", "must be at least 1ms"],
  ["server.connect_deadline", ["10s"], DURATION],
  ["server.rpc_timeout", "577h", "must be at most 576h"],
  ["server.rpc_timeout", "soon", DURATION],
  ["server.auth_timeout", "", DURATION],
  ["server.disabled_messages", "publish", `must be a list of names out of ${KINDS}`],
  ["server.disabled_messages", { 0: "publish" }, `must be a list of names out of ${KINDS}`],
  ["server.disabled_messages", ["publish", "publish"], "must not name a kind twice"],
  ["limits.message_bytes", 1_023, "must be a whole number from 1024 to 1048576"],
  ["limits.message_bytes", 1_048_577, "must be a whole number from 1024 to 1048576"],
  ["limits.subscriptions_per_client", 0, "must be a whole number of at least 1"],
  ["limits.publishes_per_second", -1, "must be a number of at least 0"],
  ["limits.publishes_per_second", Number.POSITIVE_INFINITY, "must be a number of at least 0"],
  ["limits.publishes_per_second", Number.NaN, "must be a number of at least 0"],
  ["limits.publishes_per_second", "10", "must be a number of at least 0"],
  ["limits.publish_burst", 0, "must be a whole number of at least 1"],
  ["limits.rpcs_in_flight", 1.5, "must be a whole number of at least 1"],
  ["limits.rpcs_in_flight", "32", "must be a whole number of at least 1"],
  ["limits.rpcs_in_flight", 1e300, "must be a whole number of at least 1"],
  ["limits.errors_per_minute", true, "must be a whole number of at least 1"],
  ["limits.open_request_bytes", 65_535, "must be a whole number of at least 65536"],
  ["limits.credit_bytes", 0.5, "must be a whole number of at least 65536"],
  ["limits.recovery_messages", 0, "must be a whole number of at least 1"],
  ["limits.recovery_bytes", 65_535, "must be a whole number of at least 65536"],
  ["limits.survey_audience", 10_001, "must be a whole number from 1 to 10000"],
  ["limits.survey_answer_bytes", 1_048_577, "must be a whole number from 1 to 1048576"],
  ["limits.survey_result_bytes", 8_388_609, "must be a whole number from 1 to 8388608"],
  ["limits.surveys_per_minute", 0, "must be a whole number of at least 1"],
  ["limits.open_surveys", 0.5, "must be a whole number of at least 1"],
  ["server.heartbeat", "30s", "must be a table of settings"],
  ["server", [], "must be a table of settings"],
  ["server", null, "must be a table of settings"],
  ["limits", new Date(0), "must be a table of settings"],
])("%s: %j is refused with its path", (path, value, message) => {
  expect(problems(at(path, value))).toEqual([{ path, message }]);
});

test("a burst belongs to a rate", () => {
  const path = "limits.publish_burst";
  expect(
    parseSettings({ limits: { publishes_per_second: 1, publish_burst: 7 } }).publishBurst,
  ).toBe(7);
  const message = "does nothing without publishes_per_second";
  expect(problems(at(path, 7))).toEqual([{ path, message }]);
});

test("every setting refuses what it cannot be", () => {
  for (const [path] of SETTING_PATHS) {
    const place = path.replace("*", "0");
    expect(problems(at(path, Symbol("wrong")))).toMatchObject([{ path: place }]);
  }
  const names = new Set(
    SETTING_PATHS.map(([path]) => path.replace(/^(channels|access)\..*/, "$1")),
  );
  expect(names.size).toBe(Object.keys(DEFAULT_SETTINGS).length);
  const ofRules = SETTING_PATHS.filter(([path]) => path.startsWith("channels.*."));
  expect(ofRules).toHaveLength(Object.keys(DEFAULT_CHANNEL_RULES).length + 1);
});

test.each([
  ["history_size", 1, { historySize: 1 }],
  ["history_size", 1_000_000, { historySize: 1_000_000 }],
  ["history_ttl", "1s", { historyTtlMs: 1_000, positionTtlMs: 1_000 }],
  ["history_ttl", "48h", { historyTtlMs: 172_800_000, positionTtlMs: 172_800_000 }],
  ["position_ttl", "24h", { positionTtlMs: 86_400_000 }],
  ["position_ttl", "576h", { positionTtlMs: 2_073_600_000 }],
  ["recovery", false, { recovery: false }],
  ["recovery", true, {}],
  ["transient", true, { transient: true, historySize: 0, recovery: false, positionTtlMs: 60_000 }],
  ["transient", false, {}],
  ["exactly_once", false, { exactlyOnce: false, dedupSize: 1_024, dedupWindowMs: 30_000 }],
  ["exactly_once", true, {}],
  ["dedup_size", 1_024, { dedupSize: 1_024 }],
  ["dedup_size", 1_000_000, { dedupSize: 1_000_000 }],
  ["dedup_window", "30s", { dedupWindowMs: 30_000 }],
  ["presence", false, { presence: false }],
  ["presence", true, {}],
  ["presence_grace", "0s", { presenceGraceMs: 0 }],
  ["presence_grace", "1m", { presenceGraceMs: 60_000 }],
  ["survey", true, { survey: true }],
  ["survey", false, {}],
])("channels.*.%s: %j is taken, and the rest has its default", (key, value, changed) => {
  expect(ruled({ [key]: value })).toEqual({ ...DEFAULT_CHANNEL_RULES, ...changed });
});

test("a position may be kept for longer than history", () => {
  expect(ruled({ history_ttl: "1m", position_ttl: "1m" }).positionTtlMs).toBe(60_000);
  expect(ruled({ history_ttl: "1m", position_ttl: "2m" })).toMatchObject({
    historyTtlMs: 60_000,
    positionTtlMs: 120_000,
  });
});

const KEPT = "must be a whole number from 1 to 1000000";
const REMEMBERED = "must be a whole number from 1024 to 1000000";
const SWITCH = "must be true or false";

test.each([
  ["pattern", undefined, "is missing"],
  ["pattern", null, "must be a pattern such as chat.**"],
  ["pattern", "", "channel is empty"],
  ["pattern", "a..b", "channel holds an empty word"],
  ["pattern", "**.a", "only the last word may be **"],
  ["pattern", "x".repeat(256), "channel is longer than 255 bytes"],
  ["history_size", 0, KEPT],
  ["history_size", 1_000_001, KEPT],
  ["history_size", 1.5, KEPT],
  ["history_size", "256", KEPT],
  ["history_ttl", "999ms", "must be at least 1s"],
  ["history_ttl", "577h", "must be at most 576h"],
  ["history_ttl", 3_600, DURATION],
  ["position_ttl", "86399s", "must be at least history_ttl, which is 24h"],
  ["position_ttl", "1d", DURATION],
  ["recovery", "true", SWITCH],
  ["transient", 0, SWITCH],
  ["exactly_once", null, SWITCH],
  ["dedup_size", 1_023, REMEMBERED],
  ["dedup_size", 1_000_001, REMEMBERED],
  ["dedup_window", "29999ms", "must be at least 30s"],
  ["dedup_window", 300, DURATION],
  ["presence", "no", SWITCH],
  ["presence_grace", "-1s", DURATION],
  ["presence_grace", "577h", "must be at most 576h"],
  ["survey", "clients", SWITCH],
  ["historysize", 1, "is not a setting"],
])("channels.*.%s: %j is refused with its path", (key, value, message) => {
  const rule = key === "pattern" ? {} : { pattern: "b" };
  const set = value === undefined ? {} : { [key]: value };
  expect(problems({ channels: [{ pattern: "a" }, { ...rule, ...set }] })).toEqual([
    { path: `channels.1.${key}`, message },
  ]);
});

test("a position is kept for at least as long as the history that the rule says", () => {
  expect(problems({ channels: [{ pattern: "a", history_ttl: "2m", position_ttl: "1m" }] })).toEqual(
    [{ path: "channels.0.position_ttl", message: "must be at least history_ttl, which is 120s" }],
  );
});

// Each of them is taken with the switch the other way.
test.each([
  ["history_size", 256, "transient", true],
  ["history_ttl", "24h", "transient", true],
  ["position_ttl", "24h", "transient", true],
  ["recovery", true, "transient", true],
  ["recovery", false, "transient", true],
  ["dedup_size", 8_192, "exactly_once", false],
  ["dedup_window", "5m", "exactly_once", false],
  ["presence_grace", "5s", "presence", false],
])("%s: %j does nothing with %s: %j", (key, value, name, stands) => {
  const path = `channels.0.${key}`;
  const message = `does nothing with ${name}: ${stands}`;
  const rule = { pattern: "a", [key]: value };
  expect(problems({ channels: [{ ...rule, [name]: stands }] })).toEqual([{ path, message }]);
  expect(problems({ channels: [{ ...rule, [name]: !stands }] })).toEqual([]);
});

test("every key that does nothing is told at once", () => {
  const rule = { pattern: "a", transient: true, exactly_once: false, presence: false };
  // The position's ttl is shorter than that of history, which does not matter beside the rest.
  const idle = { position_ttl: "1s", dedup_size: 1_024, presence_grace: "0s" };
  expect(problems({ channels: [{ ...rule, ...idle }] }).map(({ path }) => path)).toEqual([
    "channels.0.position_ttl",
    "channels.0.dedup_size",
    "channels.0.presence_grace",
  ]);
  expect(ruled({ ...rule, pattern: "**" })).toEqual({
    ...DEFAULT_CHANNEL_RULES,
    historySize: 0,
    positionTtlMs: 60_000,
    recovery: false,
    transient: true,
    exactlyOnce: false,
    dedupSize: 1_024,
    dedupWindowMs: 30_000,
    presence: false,
  });
});

test("a pattern has one rule", () => {
  const channels = ["a", "b.*", "a", "c", "b.*", "a"].map((pattern) => ({ pattern }));
  expect(problems({ channels })).toEqual([
    { path: "channels.2.pattern", message: "is the pattern of channels.0 already" },
    { path: "channels.4.pattern", message: "is the pattern of channels.1 already" },
    { path: "channels.5.pattern", message: "is the pattern of channels.0 already" },
  ]);
});

test("what a vaguer rule says does not reach a channel with a rule of its own", () => {
  const { rules } = parseSettings({
    channels: [
      { pattern: "**", history_size: 1, presence: false },
      { pattern: "chat.*", history_ttl: "1h" },
    ],
  });
  expect(rules.of("chat.a")).toEqual({
    ...DEFAULT_CHANNEL_RULES,
    historyTtlMs: 3_600_000,
    positionTtlMs: 3_600_000,
  });
  expect(rules.of("chat")).toEqual({ ...DEFAULT_CHANNEL_RULES, historySize: 1, presence: false });
});

test.each([
  [null, [{ path: "channels", message: "must be a list of tables" }]],
  [{ pattern: "a" }, [{ path: "channels", message: "must be a list of tables" }]],
  ["a", [{ path: "channels", message: "must be a list of tables" }]],
  [[null], [{ path: "channels.0", message: "must be a table of settings" }]],
  [["a"], [{ path: "channels.0", message: "must be a table of settings" }]],
])("%j is no list of rules", (channels, expected) => {
  expect(problems({ channels })).toEqual(expected);
});

test("one wrong name in a list is told with its place", () => {
  expect(problems({ server: { disabled_messages: ["publish", "connect"] } })).toEqual([
    { path: "server.disabled_messages.1", message: `must be one of ${KINDS}` },
  ]);
});

test.each([[null], [[]], ["limits"], [1], [new Map()]])("%j is no table of settings", (value) => {
  expect(problems(value)).toEqual([{ path: "", message: "must be a table of settings" }]);
  expect(() => parseSettings(value)).toThrow(/^must be a table of settings$/);
});

test("all problems are told at once, one per line", () => {
  const wrong = {
    servers: {},
    server: { rpc_timeout: 30, port: 80, heartbeat: { every: "5s", idle_timeout: "x" } },
    limits: { rpcs_in_flight: "32", publish_burst: 0, history: 1, presence: 2 },
  };
  expect(() => parseSettings(wrong)).toThrow(SettingsError);
  let message = "";
  try {
    parseSettings(wrong);
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message.split("\n")).toEqual([
    "servers: is not a setting",
    "server.port: is not a setting",
    "server.heartbeat.every: is not a setting",
    "limits.history: is not a setting",
    "limits.presence: is not a setting",
    `server.heartbeat.idle_timeout: ${DURATION}`,
    `server.rpc_timeout: ${DURATION}`,
    "limits.publish_burst: must be a whole number of at least 1",
    "limits.rpcs_in_flight: must be a whole number of at least 1",
  ]);
});

test("an unknown key is refused at every depth, whatever its value", () => {
  for (const path of ["limit", "server.x", "server.heartbeat.x", "limits.x", "limits.x y"]) {
    for (const value of [undefined, null, 1, {}]) {
      expect(problems(at(path, value))).toEqual([{ path, message: "is not a setting" }]);
    }
  }
});

test("the ping interval has to be less than the idle timeout", () => {
  const path = "server.heartbeat.ping_interval";
  const message = "must be less than idle_timeout; the default is 25s";
  const heartbeat = (idle_timeout: string, ping_interval?: string) => ({
    server: { heartbeat: { idle_timeout, ...(ping_interval && { ping_interval }) } },
  });
  expect(problems(heartbeat("30s", "30s"))).toEqual([{ path, message }]);
  expect(problems(heartbeat("20s"))).toEqual([{ path, message }]);
  expect(problems(heartbeat("30s", "29999ms"))).toEqual([]);
  expect(problems({ server: { heartbeat: { ping_interval: "300s" } } })).toEqual([
    { path, message },
  ]);
});

test.each([
  [0, 1],
  [0.2, 1],
  [10, 10],
  [10.1, 11],
])("at %d publishes a second the burst is %d by default", (rate, burst) => {
  expect(parseSettings({ limits: { publishes_per_second: rate } }).publishBurst).toBe(burst);
});

test.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"])(
  "the key %s is refused like any other",
  (key) => {
    const text = `{"${key}":{"x":1}}`;
    const message = "is not a setting";
    expect(problems(JSON.parse(text))).toEqual([{ path: key, message }]);
    expect(problems({ limits: JSON.parse(text) })).toEqual([{ path: `limits.${key}`, message }]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  },
);

test("the defaults can be written back as settings", () => {
  // Those whose default depends on another one, and those that have none or mean all.
  const others = [
    ...["limits.publish_burst", "channels.*.position_ttl", "channels.*.pattern"],
    ...["channels", "effect", "actions", "users"].map((key) => `access.rules.*.${key}`),
  ];
  const written = SETTING_PATHS.filter(([path]) => !others.includes(path));
  expect(written).toHaveLength(SETTING_PATHS.length - others.length);
  for (const [path, text] of written) {
    const value = /^(true|false|[\d[].*[\d\]]|\d)$/.test(text) ? JSON.parse(text) : text;
    const settings = parseSettings(at(path, value));
    expect(settings).toEqual(DEFAULT_SETTINGS);
    expect(settings.rules.of("some.channel")).toEqual(DEFAULT_CHANNEL_RULES);
  }
});

test("a host's own keys stand beside these", () => {
  const host = table({
    ...settingsEntries,
    server: v.optional(table({ ...serverEntries, drain: v.optional(durations, "3s") }), {}),
    proxy: v.optional(v.array(table({ url: v.string("must be a text") })), []),
  });
  const checked = checkSettings(host, { server: { drain: "5s" }, proxy: [{ url: "x" }] });
  expect(checked.server.drain).toBe(5_000);
  expect(toSettings(checked)).toEqual(DEFAULT_SETTINGS);
  expect(settingPaths(host)).toContainEqual(["server.drain", "3s"]);
  let found: unknown;
  try {
    checkSettings(host, { server: { drains: "5s" }, proxy: [{ url: "x", uri: "x" }, {}, []] });
  } catch (error) {
    found = error instanceof SettingsError && error.problems;
  }
  expect(found).toEqual([
    { path: "server.drains", message: "is not a setting" },
    { path: "proxy.0.uri", message: "is not a setting" },
    { path: "proxy.2", message: "must be a table of settings" },
    { path: "proxy.1.url", message: "is missing" },
    { path: "proxy.2.url", message: "is missing" },
  ]);
});

test.each([
  ["300ms", 300],
  ["5s", 5_000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["0s", 0],
  [".5s", 500],
  ["1.s", 1_000],
  ["1.1s", 1_100],
  ["2h45m", 9_900_000],
  ["1h1m1s1ms", 3_661_001],
  ["30s1m", 90_000],
  ["1500us", 2],
  ["2000\u00b5s", 2],
  ["2000\u03bcs", 2],
  ["3000000ns", 3],
  ["1ns", 0],
])("%s is %d milliseconds", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each([
  "",
  "0",
  "5",
  "s",
  ".s",
  "-5s",
  "+5s",
  "5 s",
  " 5s",
  "5s ",
  "5s\n",
  "5S",
  "5sec",
  "1d",
  "1e3s",
  "1,5s",
  "1.2.3s",
  "0x1s",
  "1m30",
  "\u0665s",
  `${"9".repeat(400)}s`,
])("%j is no duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test("rules of access are read as they are written", () => {
  const { access } = parseSettings({
    access: {
      default: "deny",
      rules: [
        { channels: ["chat.**", "inbox.{user}.*"], effect: "allow", users: ["*"] },
        { channels: ["chat.admin"], effect: "deny", actions: ["publish", "rpc"] },
      ],
    },
  });
  expect(access).toEqual({
    standard: "deny",
    rules: [
      {
        channels: ["chat.**", "inbox.{user}.*"],
        effect: "allow",
        actions: ["subscribe", "publish", "presence", "history", "survey", "rpc"],
        users: ["*"],
      },
      {
        channels: ["chat.admin"],
        effect: "deny",
        actions: ["publish", "rpc"],
        users: undefined,
      },
    ],
  });
});

test.each([
  [{ default: "maybe" }, "access.default", "must be one of allow, deny"],
  [{ rules: {} }, "access.rules", "must be a list of tables"],
  [{ rules: [{ effect: "deny" }] }, "access.rules.0.channels", "is missing"],
  [{ rules: [{ channels: ["a"] }] }, "access.rules.0.effect", "is missing"],
  [
    { rules: [{ ...DENY, channels: [] }] },
    "access.rules.0.channels",
    "must be a list of channels and patterns such as inbox.{user}.**",
  ],
  [
    { rules: [DENY, { ...DENY, channels: ["a", "b..c"] }] },
    "access.rules.1.channels.1",
    "channel holds an empty word",
  ],
  [
    { rules: [{ ...DENY, channels: ["user-{user}"] }] },
    "access.rules.0.channels.0",
    "{user} must be a whole word",
  ],
  [
    { rules: [{ ...DENY, channels: ["inbox.{usr}"] }] },
    "access.rules.0.channels.0",
    "{usr} stands for nothing: there are {user} and {client}",
  ],
  [
    { rules: [{ ...DENY, actions: ["read"] }] },
    "access.rules.0.actions.0",
    "must be one of subscribe, publish, presence, history, survey, rpc",
  ],
  [
    { rules: [{ ...DENY, users: [""] }] },
    "access.rules.0.users.0",
    'must be a list of user ids, or of "*" for everyone who has authenticated',
  ],
  [{ rules: [{ ...DENY, user: ["a"] }] }, "access.rules.0.user", "is not a setting"],
  [
    { rules: [DENY, { ...DENY, effect: "allow" }] },
    "access.rules.1.effect",
    "allows what access.default allows already: set access.default to deny",
  ],
])("%j is told as %s: %s", (access, path, message) => {
  expect(problems({ access })).toEqual([{ path, message }]);
});
