/** Files, variables and defaults of the server's configuration, and what is said of mistakes. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { DEFAULT_CHANNEL_RULES } from "../../src/channels/rules.ts";
import { SERVER_SETTING_PATHS } from "../../src/config/schema.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { parseConfig, type ServerConfig, SettingsError } from "../../src/server/config/config.ts";
import { ConfigError, loadConfig, withEnvironment } from "../../src/server/config/file.ts";

const EXAMPLE = new URL("../../config.example.yaml", import.meta.url);
/** As it stands in the README of the original. */
const ORIGINAL = `transport:
  websocket:
    address: ":9080"
  grpc:
    address: ":9090"

broker:
  type: "memory"  # or "redis"
  redis:
    addr: "localhost:6379"
`;

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "messageloop-config-"));
  file = join(folder, "config.yaml");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function load(text: string, env: Record<string, string> = {}): Promise<ServerConfig> {
  await writeFile(file, text);
  return await loadConfig({ config: file, env });
}

/** Lines that say what is wrong, with FILE for the file's path. */
async function problems(text: string | Uint8Array, env = {}): Promise<string[]> {
  await writeFile(file, text);
  const error = await loadConfig({ config: file, env }).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigError)) throw new Error("it was taken");
  return error.message.replaceAll(file, "FILE").split("\n");
}

/** A configuration without what it says of where it comes from. */
function meant({ inForce: _, ...config }: ServerConfig): Omit<ServerConfig, "inForce"> {
  return config;
}

test("without a file every setting has its default", async () => {
  const config = await loadConfig({ env: {} });
  expect(meant(config)).toEqual({
    settings: DEFAULT_SETTINGS,
    maxConnections: 100_000,
    maxQueueBytes: 8_388_608,
    maxRetainedBytes: 536_870_912,
    drainTimeoutMs: 10_000,
    workers: 1,
    logLevel: "info",
    websocket: {
      address: { host: undefined, port: 9080 },
      tls: undefined,
      path: "/ws",
      allowedOrigins: [],
      allowedHosts: [],
      compression: false,
    },
    grpc: { address: { host: undefined, port: 9090 }, tls: undefined },
    stream: { heartbeatIntervalMs: 15_000, lifetimeMs: 1_200_000 },
    api: { keys: [], ticketKeys: [], public: false, reflection: false },
    auth: { required: false, maxLifetimeMs: undefined, subscriptionTokens: [], jwt: undefined },
    trustedProxies: [],
    http: { address: { host: "127.0.0.1", port: 8080 }, tls: undefined },
    proxy: {
      backends: [],
      hooks: { authenticate: undefined, subscribe: undefined, events: {}, byRoutes: false },
      rpcEcho: true,
      warnings: [],
    },
  });
  for (const text of ["", "# nothing\n", "---\n", "{}\n"])
    expect(meant(await load(text))).toEqual(meant(config));
});

test("keys of tickets come from the file or from a variable, and no problem repeats a secret", async () => {
  const secret = "a secret of thirty-two characters";
  const list = JSON.stringify([
    { id: "new", secret },
    { id: "old", secret },
  ]);
  const ids = ({ api }: ServerConfig): string[] => api.ticketKeys.map(({ id }) => id);
  expect(ids(await load(`api: { ticket_keys: ${list} }\n`))).toEqual(["new", "old"]);
  expect(ids(await load("", { MESSAGELOOP_API_TICKET_KEYS: list }))).toEqual(["new", "old"]);
  const short = JSON.stringify([{ id: "new", secret: "too short" }]);
  expect(await problems("", { MESSAGELOOP_API_TICKET_KEYS: short })).toEqual([
    "MESSAGELOOP_API_TICKET_KEYS: must be a text of at least 32 characters that nobody can guess",
  ]);
});

test("keys of the API come from the file or from a variable, which names what is wrong with it", async () => {
  const digest = "ab".repeat(32);
  const entry = { id: "one", digest, rights: ["publish"], patterns: ["**"] };
  const text = `api: { keys: [${JSON.stringify(entry)}] }\n`;
  const ids = ({ api }: ServerConfig): string[] => api.keys.map(({ id }) => id);
  expect(ids(await load(text))).toEqual(["one"]);
  const other = { ...entry, id: "other" };
  const variable = (value: unknown) => ({
    MESSAGELOOP_API_KEYS: typeof value === "string" ? value : JSON.stringify(value),
  });
  expect(ids(await load(text, variable([other, entry])))).toEqual(["other", "one"]);
  expect(ids(await load("", variable(other)))).toEqual(["other"]);
  expect(await problems("", variable("ml_one_secret"))).toEqual([
    "MESSAGELOOP_API_KEYS: must be a list of keys",
  ]);
  expect(await problems("", variable([{ ...entry, digest: "ml_one_secret" }]))).toEqual([
    expect.stringMatching(/^MESSAGELOOP_API_KEYS: must be the SHA-256 of a key/),
  ]);
});

test("a folder has its file as config.yaml", async () => {
  await writeFile(file, "transport: { websocket: { path: /live } }\n");
  const { websocket } = await loadConfig({ configDir: folder, env: {} });
  expect(websocket.path).toBe("/live");
});

test("the file of the original's README is taken as it is", async () => {
  expect(meant(await load(ORIGINAL))).toEqual(meant(parseConfig({})));
});

test("a table of which only comments are left is an empty one", async () => {
  const text = "server:\n  heartbeat:\n    # idle_timeout: 1m\nlimits:\nbroker:\n  redis:\n";
  expect(meant(await load(text))).toEqual(meant(parseConfig({})));
  const commented = await load("channels:\n  # - pattern: chat\n");
  expect(meant(commented)).toEqual(meant(parseConfig({})));
  expect(await problems("channels:\n  - # pattern: chat\n")).toEqual([
    "FILE: channels.0.pattern: is missing",
  ]);
});

test("anchors and tags of the language work", async () => {
  const text = "transport:\n  grpc: &one { addr: ':7000' }\nserver:\n  http: *one\n";
  const { grpc, http } = await load(text);
  expect([grpc.address.port, http.address.port]).toEqual([7000, 7000]);
});

test.each([
  ["a: 1\nserver: {}\nserver: {}\n", "FILE, line 3, column 1: Map keys must be unique"],
  ["server: { log_level: info, log_level: warn }", /^FILE, line 1, column 28: Map keys must be/],
  ["server:\n\thttp: {}\n", /^FILE, line 2, column 1: Tabs are not allowed as indentation$/],
  ["server: [1\n", /^FILE, line 2, column 1: Flow sequence/],
  ["server: 'x\n", /^FILE, line \d+, column \d+: Missing closing 'quote$/],
  ["server: *nobody\n", "FILE, line 1, column 9: There is no anchor nobody before this alias"],
  ["server: !secret x\n", "FILE, line 1, column 9: Unresolved tag: !secret"],
  ["server: {}\n---\nserver: {}\n", "FILE, line 2, column 1: There must be one document"],
  ["just words\n", "FILE: must be a table of settings"],
  ["- server\n", "FILE: must be a table of settings"],
  [new Uint8Array([0x61, 0xff, 0xfe]), "FILE: is no text in UTF-8"],
])("what is no configuration is one sentence: %j", async (text, sentence) => {
  const found = await problems(text);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(sentence instanceof RegExp ? sentence : exactly(sentence));
});

test.each([
  ["nobody.yaml", "there is no such file"],
  ["config.yaml/config.yaml", "there is no such file"],
  [".", "it is a folder"],
])("a file that cannot be read is one sentence: %s", async (name, why) => {
  await writeFile(file, "");
  const config = join(folder, name);
  const loading = loadConfig({ config, env: {} });
  await expect(loading).rejects.toThrow(exactly(`cannot read ${config}: ${why}`));
  await expect(loading).rejects.toBeInstanceOf(ConfigError);
});

test("every wrong setting is named with file and path", async () => {
  const text = `
server:
  log_levl: info
  http: { tls: }
transport:
  websocket: { addr: 9080, path: ws, allowed_origins: [app.example], compression: 9 }
  grpc: { addr: ":1", address: ":2", tls: { cert: x.pem } }
broker: { type: kafka }
limits: { connections: 0, queue_bytes: 8MB, retained_bytes: 1000 }
channels: [{ pattern: a..b }, { pattern: a, history_size: 0, histroy_ttl: 1h }]
`;
  expect((await problems(text)).toSorted()).toEqual([
    'FILE: broker.type: is unknown: there are "memory" and "redis"',
    "FILE: channels.0.pattern: channel holds an empty word",
    "FILE: channels.1.history_size: must be a whole number from 1 to 1000000",
    "FILE: channels.1.histroy_ttl: is not a setting; did you mean history_ttl?",
    "FILE: limits.connections: must be a whole number of at least 1",
    "FILE: limits.queue_bytes: must be a whole number of at least 65536",
    "FILE: limits.retained_bytes: must be a whole number of at least 1048576",
    "FILE: server.http.tls.cert: is missing",
    "FILE: server.http.tls.key: is missing",
    "FILE: server.log_levl: is not a setting; did you mean log_level?",
    "FILE: transport.grpc.tls.key: is missing",
    'FILE: transport.websocket.addr: must be an address such as ":9080" or "127.0.0.1:9080"',
    "FILE: transport.websocket.allowed_origins.0: must be an origin such as https://app.example, or *",
    "FILE: transport.websocket.compression: must be true or false",
    "FILE: transport.websocket.path: must be a path such as /ws",
  ]);
  const both = 'transport: { grpc: { addr: ":1", address: ":2" } }';
  expect(await problems(both)).toEqual([
    "FILE: transport.grpc.address: is another name of addr: use one of them",
  ]);
});

test("channels have the rules of the file", async () => {
  const { settings } = await load(`
channels:
  - pattern: "chat.**"
    history_size: 10
  - { pattern: chat.lobby, presence: false }
`);
  expect(settings.rules.of("chat.a")).toEqual({ ...DEFAULT_CHANNEL_RULES, historySize: 10 });
  expect(settings.rules.of("chat.lobby")).toEqual({ ...DEFAULT_CHANNEL_RULES, presence: false });
});

test("variables stand above the file, in either spelling of an address", async () => {
  const { websocket, grpc, http } = await load(ORIGINAL, {
    MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:0",
    MESSAGELOOP_TRANSPORT_GRPC_ADDR: "[::1]:1",
    MESSAGELOOP_SERVER_HTTP_ADDR: ":2",
  });
  expect([websocket.address, grpc.address, http.address]).toEqual([
    { host: "127.0.0.1", port: 0 },
    { host: "::1", port: 1 },
    { host: undefined, port: 2 },
  ]);
});

test("a secret of the environment replaces the file's, and nothing else of it counts", () => {
  const written = { broker: { type: "memory", redis: { db: 1, password: "old" } } };
  const env = {
    MESSAGELOOP_BROKER_REDIS_PASSWORD: "new",
    MESSAGELOOP_BROKER_REDIS_ADDR: "redis:6379",
    MESSAGELOOP_BROKER_REDIS_DB: "2",
    MESSAGELOOP_SERVER_LOG_LEVEL: "debug",
  };
  const { value } = withEnvironment(written, env);
  expect(value).toEqual({
    broker: { type: "memory", redis: { db: 1, password: "new", addr: "redis:6379" } },
  });
  expect(written.broker.redis.password).toBe("old");
  expect(withEnvironment({}, env).value).toMatchObject({ broker: { redis: { password: "new" } } });
  // An empty variable is what deployments write for none.
  expect(withEnvironment(written, { MESSAGELOOP_BROKER_REDIS_PASSWORD: "" }).value).toBe(written);
});

test("a wrong value of a variable is named with the variable", async () => {
  const env = { MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "9080" };
  const [line, ...more] = await problems("transport: { websocket: { path: ws } }", env);
  expect([line, ...more].toSorted()).toEqual([
    "FILE: transport.websocket.path: must be a path such as /ws",
    'MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: must be an address such as ":9080" or "127.0.0.1:9080"',
  ]);
  expect(await problems("transport: [1]", env)).toEqual([
    "FILE: transport: must be a table of settings",
  ]);
});

test.each([
  ["60s", 60_000],
  ["300s", 300_000],
  ["10m", 300_000],
  ["0s", 300_000],
])("the read timeout %s leaves an idle timeout of %i ms", (read_timeout, idleTimeoutMs) => {
  const { settings } = parseConfig({ transport: { websocket: { read_timeout } } });
  expect(settings).toEqual({ ...DEFAULT_SETTINGS, idleTimeoutMs });
});

test("a read timeout that clients would meet between two pings is an error", () => {
  const at = (read_timeout: unknown, server = {}) => {
    try {
      return parseConfig({ transport: { websocket: { read_timeout } }, server }).settings;
    } catch (error) {
      return error instanceof SettingsError ? error.message : error;
    }
  };
  const path = "transport.websocket.read_timeout";
  expect(at("25s")).toBe(`${path}: must be more than server.heartbeat.ping_interval, which is 25s`);
  expect(at(5)).toBe(`${path}: must be a duration such as "30s"`);
  expect(at("5s", { heartbeat: { ping_interval: "2s" } })).toMatchObject({ idleTimeoutMs: 5_000 });
  expect(at("5s", { heartbeat: { ping_interval: "0s" } })).toMatchObject({ idleTimeoutMs: 5_000 });
});

test("the example is valid as it stands and changes nothing", async () => {
  const config = await loadConfig({ config: EXAMPLE.pathname, env: {} });
  expect(meant(config)).toEqual(meant(parseConfig({})));
  expect(config.settings.rules.of("any.channel")).toEqual(DEFAULT_CHANNEL_RULES);
});

test("the example has every setting with its default", async () => {
  const text = await readFile(EXAMPLE, "utf8");
  const standard = new Map(SERVER_SETTING_PATHS);
  for (const [path, value] of leaves(parse(text))) {
    // A rule has to be about something, and of a list there may be comments alone.
    if (path === "channels.*.pattern" || value === null) continue;
    expect([path, JSON.stringify(value).replace(/^"(.*)"$/, "$1")]).toEqual([
      path,
      standard.get(path),
    ]);
  }
  // What has no default stands behind a comment sign, and is valid as well where it can be.
  const whole = text.replace(/^( *)#((?:- )?\w+:)/gm, "$1$2");
  const named = leaves(parse(whole)).map(([path]) => path);
  const paths = SERVER_SETTING_PATHS.map(([path]) => path);
  const expected = paths.filter((path) => !path.endsWith(".address"));
  expect(named.toSorted()).toEqual(expected.toSorted());
  expect((await problems(whole)).toSorted()).toEqual([
    "FILE: auth.jwt.algorithms: must have HS256, which hmac_secret serves",
    "FILE: auth.jwt.jwks_url: has the keys in the place of public_key: use one of them",
    "FILE: broker.redis.addr: stands in url: use one of them",
    "FILE: broker.redis.db: stands in url: use one of them",
    "FILE: broker.redis.tls: stands in url: use one of them",
    "FILE: hooks.authenticate: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.connected: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.disconnected: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.occupied: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.subscribe: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.subscribed: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.unsubscribed: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: hooks.vacated: does nothing with compatibility: routes decide, as in v0.1.1",
    "FILE: limits.publish_burst: does nothing without publishes_per_second",
    "FILE: proxy.0.connect: does nothing beside grpc: a backend is spoken to in one way",
    "FILE: proxy.0.endpoint: must not have a path",
    "FILE: proxy.0.http: does nothing beside grpc: a backend is spoken to in one way",
  ]);
});

/** Dotted paths of what is no table, with the values; `*` stands for the places of a list of tables. */
function leaves(value: unknown, path = ""): [string, unknown][] {
  if (Array.isArray(value) && value.some((inner) => typeof inner === "object")) {
    return value.flatMap((inner) => leaves(inner, `${path}.*`));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[path, value]];
  // The names in it are the operator's.
  if (path.endsWith(".headers")) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) =>
    leaves(inner, path === "" ? key : `${path}.${key}`),
  );
}

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
}
