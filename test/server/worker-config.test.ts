/** The configuration of Workers as the command line sees it, secrets of both hosts, and which file is taken. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from "vitest";
import { parse, stringify } from "yaml";
import { SERVER_SETTING_PATHS, WORKER_SETTING_PATHS } from "../../src/config/schema.ts";
import { ConfigError, loadConfig } from "../../src/server/config/file.ts";
import { loadWorkerConfig } from "../../src/server/config/worker.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { type CliServer, linesOf, runCli, startServer, until } from "./process.ts";

const EXAMPLE = fileURLToPath(new URL("../../config.example.yaml", import.meta.url));
const SCRIPT = fileURLToPath(new URL("../../scripts/build-worker.mjs", import.meta.url));
const SECRET = "hunter2 hunter2 hunter2 hunter2 hunter2";
const ENTRY = { id: "one", digest: "ab".repeat(32), rights: ["publish"], patterns: ["**"] };

const GOOD = `
limits: { message_bytes: 2048, sockets_per_gateway: 10 }
api:
  keys: { secret: API_KEYS }
  ticket_keys:
    - { id: new, secret: { secret: TICKET_KEY } }
    - { id: old, secret: { secret: OLD_TICKET_KEY } }
`;

let folder: string;
let file: string;
const servers: CliServer[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "messageloop-worker-config-"));
  file = join(folder, "config.yaml");
});

beforeEach(() => rm(file, { force: true }));

const ANONYMOUS = "Every client is anonymous: nobody says who it is, and no token is asked for.";

afterEach(async () => {
  for (const { child, ended } of servers.splice(0)) {
    child.kill("SIGKILL");
    await ended;
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("check --host worker", () => {
  test("says that a file is valid, and which secrets a deployment needs", async () => {
    await writeFile(file, GOOD);
    // Nothing of the environment counts on Workers, so nothing of it is warned of.
    const env = { MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "nowhere", MESSAGELOOP_TYPO: "x" };
    expect(await runCli(["check", "--host", "worker", "--config", file], { env })).toEqual({
      code: 0,
      stdout: `${file} is valid for Workers
${ANONYMOUS}
It needs these secrets, each set once by npx wrangler secret put NAME:
  API_KEYS        api.keys
  TICKET_KEY      api.ticket_keys.0.secret
  OLD_TICKET_KEY  api.ticket_keys.1.secret
`,
      stderr: "",
    });
    const { code, stdout } = await runCli(["check", "--host", "worker", "--json"], { cwd: folder });
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        host: "worker",
        file: "config.yaml",
        secrets: [
          { path: "api.keys", name: "API_KEYS" },
          { path: "api.ticket_keys.0.secret", name: "TICKET_KEY" },
          { path: "api.ticket_keys.1.secret", name: "OLD_TICKET_KEY" },
        ],
        meaning: [ANONYMOUS],
        warnings: [],
      },
    ]);
  });

  test("says what a deployment will mean: who clients are, what is kept, and what keeps everybody out", async () => {
    const checked = async (config: object, host: "server" | "worker") => {
      await writeFile(file, stringify(config));
      const { code, stdout, stderr } = await runCli(["check", "--host", host, "--config", file]);
      expect(code).toBe(0);
      const meaning = linesOf(stdout).filter((line) => /^[A-Z].*\.$/.test(line));
      return { meaning, warnings: linesOf(stderr) };
    };
    const needs =
      "auth.required: needs somebody who can say who a client is: a key in auth.jwt, or a backend that authenticates";
    const locked = { auth: { required: true } };
    expect(await checked(locked, "worker")).toEqual({
      meaning: ["No client is let in: nobody says who it is."],
      warnings: [`${needs}; gateways of the Worker answer every connection with 500 without`],
    });
    expect((await checked(locked, "server")).warnings).toEqual([
      `${needs}; serve does not start without`,
    ]);
    const proxy = [
      { name: "app", endpoint: "https://app.example", routes: [{ channel: "*", method: "*" }] },
    ];
    const hooks = { authenticate: "app", connected: "app" };
    expect(await checked({ ...locked, proxy, hooks }, "worker")).toEqual({
      meaning: [
        "A client has to show a token, and the backend app says who it is.",
        "No token can be revoked: users are found where api.keys has a key, or limits.connections_per_user is set.",
        "Lifecycle events wait in the database of their object, and arrive at least once.",
      ],
      warnings: [],
    });
    expect((await checked({ ...locked, proxy, hooks }, "server")).meaning).toEqual([
      "A client has to show a token, and the backend app says who it is.",
      "What is revoked is forgotten when the process ends.",
      "Lifecycle events wait in memory: what has not arrived when the process is killed is lost.",
    ]);
    // The key is a secret that the check has not.
    const jwt = { hmac_secret: { secret: "JWT" }, algorithms: ["HS256"] };
    const keyed = { auth: { jwt }, api: { keys: { secret: "KEYS" } } };
    expect((await checked(keyed, "worker")).meaning).toEqual([
      "A client has to show a token that is good by auth.jwt.",
      "What is revoked is kept by the objects of users until its time.",
    ]);
    const byRoutes = { ...locked, proxy, hooks: { compatibility: "v0.1.1" } };
    for (const host of ["server", "worker"] as const) {
      const { meaning, warnings } = await checked(byRoutes, host);
      expect([meaning[0], warnings]).toEqual([
        "A client has to show a token, and the backend of the routes says who it is.",
        [],
      ]);
      // What a file of v0.1.1 meant by its routes is warned of on both hosts.
      const old = await checked({ proxy }, host);
      expect(old.warnings.map((line) => line.split(":")[0])).toEqual([
        "hooks.authenticate",
        "hooks.subscribe",
      ]);
    }
  });

  test("says of backends how Workers could speak to them", async () => {
    const proxy = (backend: string) => `proxy: [{ endpoint: "a.example:9091"${backend} }]\n`;
    for (const [backend, problem] of [
      [
        "",
        "proxy.0.endpoint: is no URL, so it is one of gRPC, which Workers do not have: use connect",
      ],
      [
        ", grpc: { insecure: true }",
        "proxy.0.grpc: is a setting of the self-hosted server alone; Workers have no gRPC: use connect",
      ],
    ] as const) {
      await writeFile(file, proxy(backend));
      expect(await runCli(["check", "--host", "worker", "--config", file])).toEqual({
        code: 2,
        stdout: "",
        stderr: `${file}: ${problem}\n`,
      });
    }
    await writeFile(
      file,
      "proxy: [{ endpoint: https://a.example, http: { headers: { key: { secret: SHOP_KEY } } } }]\n",
    );
    const { code, stdout } = await runCli(["check", "--host", "worker", "--config", file]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}SHOP_KEY {2}proxy\.0\.http\.headers\.key$/m);
  });

  test("names by its path all that is wrong, and all that Workers cannot honour", async () => {
    await writeFile(
      file,
      `
transport:
  grpc: { addr: ":9090" }
  websocket: { addr: ":9080", path: /live, allowed_hosts: [] }
broker: { redis: { password: ${SECRET} } }
server: { http: { addr: ":8080" }, drain_timeout: 1s }
limits: { connections: 1, conections: 1, sokets_per_gateway: 1, message_bytes: 1 }
api: { reflection: true, ticket_keys: [{ id: a, secret: ${SECRET} }] }
`,
    );
    const { code, stdout, stderr } = await runCli(["check", "--host", "worker", "--config", file]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).not.toContain("hunter2");
    const alone = "is a setting of the self-hosted server alone";
    const lines = linesOf(stderr).map((line) => line.replace(`${file}: `, ""));
    expect(lines.toSorted()).toEqual([
      `api.reflection: ${alone}; Workers have no gRPC`,
      expect.stringMatching(/^api\.ticket_keys\.0\.secret: is a secret, which must not stand here/),
      `broker: ${alone}; on Workers channels are kept by Durable Objects`,
      // What only the other host has nobody can have meant.
      "limits.conections: is not a setting",
      `limits.connections: ${alone}; a gateway has limits.sockets_per_gateway`,
      "limits.message_bytes: must be a whole number from 1024 to 1048576",
      "limits.sokets_per_gateway: is not a setting; did you mean sockets_per_gateway?",
      `server.drain_timeout: ${alone}; nobody tells a Worker to stop`,
      `server.http: ${alone}; a Worker has its health at its own address, and no metrics`,
      `transport.grpc: ${alone}; Workers have no gRPC, and their clients use WebSocket, Connect or gRPC-Web`,
      `transport.websocket.addr: ${alone}; Cloudflare listens for a Worker, and speaks TLS`,
      `transport.websocket.path: ${alone}; a Worker has WebSocket at /ws`,
    ]);
  });

  test("the part of the example that Workers have is valid for them, and changes nothing", async () => {
    const text = await readFile(EXAMPLE, "utf8");
    await writeFile(file, text);
    // Everything that only the other host has is named, and nothing else.
    const refused = await loadWorkerConfig(file).catch((error: unknown) => error);
    if (!(refused instanceof ConfigError)) throw new Error("it was taken");
    const foreign = linesOf(`${refused.message}\n`).map((line) => line.split(": ")[1] ?? "");
    const shared = new Set(WORKER_SETTING_PATHS.map(([path]) => path));
    const others = SERVER_SETTING_PATHS.map(([path]) => path).filter((path) => !shared.has(path));
    for (const path of foreign) {
      expect(others.some((other) => other === path || other.startsWith(`${path}.`))).toBe(true);
    }
    const example: unknown = parse(text);
    for (const path of foreign) remove(example, path.split("."));
    await writeFile(file, stringify(example));
    const { tables } = await loadWorkerConfig(file);
    // But for where each setting has come from.
    const { inForce: _from, ...meant } = settingsOf({ messageloop: tables });
    const { inForce: _default, ...defaults } = settingsOf({});
    expect(meant).toEqual(defaults);
    expect(await runCli(["check", "--host", "worker", "--config", file])).toMatchObject({
      code: 0,
    });
    // It is a file for both.
    expect(await runCli(["check", "--config", file])).toMatchObject({ code: 0 });
  });

  test("settings of Workers alone are refused where the server reads them", async () => {
    await writeFile(file, "limits: { sockets_per_gateway: 1 }\n");
    const { code, stderr } = await runCli(["check", "--config", file]);
    expect([code, linesOf(stderr)]).toEqual([
      2,
      [
        `${file}: limits.sockets_per_gateway: is a setting of Workers alone; the server has limits.connections`,
      ],
    ]);
  });

  test("a host that there is not is one line", async () => {
    const { code, stderr } = await runCli(["check", "--host", "moon"]);
    expect([code, linesOf(stderr)]).toEqual([2, [expect.stringContaining("server, worker")]]);
  });
});

describe("the build", () => {
  /** What wrangler runs. */
  const build = (out: string, config: string) =>
    spawnSync(process.execPath, [SCRIPT, out], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, MESSAGELOOP_CONFIG: config },
    });

  test("writes the tables, with secrets by their names, and says which it needs", async () => {
    await writeFile(file, `${GOOD}channels:\n  # - pattern: chat\n`);
    const out = join(folder, "deep/config.json");
    const { status, stdout, stderr } = build(out, file);
    expect([status, stderr]).toEqual([0, ""]);
    expect(linesOf(stdout)).toEqual([
      `${file} is valid for Workers`,
      "It needs these secrets, each set once by npx wrangler secret put NAME:",
      "  API_KEYS        api.keys",
      "  TICKET_KEY      api.ticket_keys.0.secret",
      "  OLD_TICKET_KEY  api.ticket_keys.1.secret",
    ]);
    const text = await readFile(out, "utf8");
    expect(JSON.parse(text)).toEqual({ ...parse(GOOD), channels: [] });
    // What has not changed stays untouched: a running wrangler dev watches it.
    const { mtimeMs, ino } = await stat(out);
    expect(build(out, file).status).toBe(0);
    expect(await stat(out)).toMatchObject({ mtimeMs, ino });
    await writeFile(file, "limits: { message_bytes: 4096 }\n");
    expect(build(out, file).status).toBe(0);
    expect(JSON.parse(await readFile(out, "utf8"))).toEqual({ limits: { message_bytes: 4096 } });
  });

  test("fails with the path of what is wrong, and writes nothing", async () => {
    await writeFile(file, `broker: { type: redis }\nlimits: { message_byte: 1 }\n`);
    const out = join(folder, "bad.json");
    const { status, stdout, stderr } = build(out, file);
    expect([status, stdout]).toEqual([1, ""]);
    expect(linesOf(stderr)).toEqual([
      expect.stringMatching(/config\.yaml: broker: is a setting of the self-hosted server alone/),
      `${file}: limits.message_byte: is not a setting; did you mean message_bytes?`,
    ]);
    await expect(stat(out)).rejects.toThrow("ENOENT");
  });

  test("fails where the file that was named is not there", async () => {
    const { status, stderr } = build(join(folder, "none.json"), join(folder, "nobody.yaml"));
    expect(status).toBe(1);
    expect(stderr).toBe(`cannot read ${join(folder, "nobody.yaml")}: there is no such file\n`);
  });
});

describe("bundle", () => {
  test("writes what a Worker of one's own imports", async () => {
    await writeFile(file, GOOD);
    const out = join(folder, "own.json");
    const { code, stdout, stderr } = await runCli(["bundle", "--out", "own.json"], { cwd: folder });
    expect([code, stderr]).toEqual([0, ""]);
    expect(linesOf(stdout).slice(0, 3)).toEqual([
      "own.json is written",
      "It needs these secrets, each set once by npx wrangler secret put NAME:",
      "  API_KEYS        api.keys",
    ]);
    const config: unknown = JSON.parse(await readFile(out, "utf8"));
    // A Worker of its own: what it has taken it keeps, and other files of tests share this process.
    vi.resetModules();
    onTestFinished(() => {
      vi.resetModules();
    });
    const { configure, settingsOf } = await import("../../src/worker/settings.ts");
    configure(config);
    const env = { API_KEYS: JSON.stringify([ENTRY]), TICKET_KEY: SECRET, OLD_TICKET_KEY: SECRET };
    const { maxMessageBytes, maxSockets, apiKeys, ticketKeys } = settingsOf(env);
    expect([maxMessageBytes, maxSockets]).toEqual([2_048, 10]);
    expect([apiKeys.map(({ id }) => id), ticketKeys.map(({ id }) => id)]).toEqual([
      ["one"],
      ["new", "old"],
    ]);
    // Variables stand above it, key by key; the secrets of fixed names above them.
    const messageloop = { limits: { message_bytes: 4_096 }, api: { keys: [] } };
    const above = settingsOf({ ...env, messageloop });
    expect([above.maxMessageBytes, above.maxSockets, above.apiKeys]).toEqual([4_096, 10, []]);
    const other = JSON.stringify({ ...ENTRY, id: "other" });
    const [key] = settingsOf({ ...env, messageloop, MESSAGELOOP_API_KEYS: other }).apiKeys;
    expect(key?.id).toBe("other");
    expect(() => settingsOf({ ...env, TICKET_KEY: "hunter2" })).toThrow(
      /^api\.ticket_keys\.0\.secret: must be a text of at least 32 .* \(in the secret TICKET_KEY\)$/,
    );
    expect(() => settingsOf({ TICKET_KEY: SECRET, OLD_TICKET_KEY: SECRET })).toThrow(
      "api.keys: is missing: there is no secret API_KEYS, which wrangler secret put API_KEYS sets",
    );
    expect(() => settingsOf({ ...env, messageloop: "x" })).toThrow("must be a table of settings");
    configure(config);
    expect(() => configure({})).toThrow("has its configuration already");
  });

  test("tells what is wrong, and what cannot be written", async () => {
    await writeFile(file, "broker: { type: memory }\n");
    const bad = await runCli(["bundle", "--config", file, "--out", join(folder, "x.json")]);
    expect(bad).toMatchObject({ code: 2, stdout: "" });
    expect(bad.stderr).toContain(`${file}: broker: is a setting of the self-hosted server alone`);
    await writeFile(file, "");
    const out = join(file, "x.json");
    const unwritten = await runCli(["bundle", "--config", file, "--out", out]);
    expect(unwritten).toMatchObject({ code: 2, stdout: "" });
    expect(linesOf(unwritten.stderr)).toEqual([expect.stringContaining(`cannot write ${out}: `)]);
    const { code, stderr } = await runCli(["bundle"]);
    expect([code, linesOf(stderr)]).toEqual([2, [expect.stringContaining("--out")]]);
  });
});

describe("on the self-hosted server", () => {
  const load = async (text: string, env = {}) => {
    await writeFile(file, text);
    return await loadConfig({ config: file, env });
  };

  test("secrets come from variables of any name, and from files", async () => {
    const place = join(folder, "password");
    await writeFile(place, `${SECRET}\n`);
    const text = `
broker:
  type: redis
  redis: { password: { file: ${place} }, node_secret: { secret: NODE_SECRET } }
api: { keys: { secret: KEYS } }
`;
    const env = { NODE_SECRET: SECRET, KEYS: JSON.stringify(ENTRY) };
    const { redis, api } = await load(text, env);
    expect([redis?.password, redis?.nodeSecret]).toEqual([SECRET, SECRET]);
    expect(api.keys.map(({ id }) => id)).toEqual(["one"]);
    const above = await load(text, { ...env, MESSAGELOOP_BROKER_REDIS_PASSWORD: "above" });
    expect(above.redis?.password).toBe("above");
    const url = await load("broker: { type: redis, redis: { url: { secret: URL } } }", {
      URL: "redis://user:hunter2@redis:6379/1",
    });
    expect(url.redis?.urls).toEqual(["redis://user:hunter2@redis:6379/1"]);
  });

  test.each([
    ["{ secret: NOBODY }", "password: is missing: the environment has no variable NOBODY"],
    ["{ file: /nobody }", "password.file: cannot be read: there is no such file"],
    ["{ file: BYTES }", "password.file: is no text in UTF-8"],
    ["{ file: LONG }", "password.file: holds more than 65536 bytes"],
  ])("a secret that is not there is named by path and place: %s", async (written, problem) => {
    await writeFile(join(folder, "BYTES"), new Uint8Array([0xff]));
    await writeFile(join(folder, "LONG"), "x".repeat(65_537));
    const text = written.replace(/(BYTES|LONG)/, (name) => join(folder, name));
    await expect(load(`broker: { redis: { password: ${text} } }`)).rejects.toThrow(
      `${file}: broker.redis.${problem}`,
    );
  });

  test("the file of the variable is taken, or config.yaml where the command runs", async () => {
    await writeFile(file, "limits: { connections: 7, conections: 1 }\n");
    const stderr = (name: string) =>
      `${name}: limits.conections: is not a setting; did you mean connections?\n`;
    expect(await runCli(["check"], { cwd: folder })).toMatchObject({
      code: 2,
      stderr: stderr("config.yaml"),
    });
    const env = { MESSAGELOOP_CONFIG: file };
    expect(await runCli(["check"], { env })).toMatchObject({ code: 2, stderr: stderr(file) });
    // What the command line says stands above both, and an empty variable is none.
    const other = ["check", "--config", EXAMPLE];
    expect(await runCli(other, { env, cwd: folder })).toMatchObject({ code: 0, stderr: "" });
    const empty = { MESSAGELOOP_CONFIG: "" };
    expect(await runCli(["check"], { env: empty })).toMatchObject({
      stdout: expect.stringMatching(/^the configuration without a file is valid\n/),
    });
  });

  test("serve says which file it has found, and takes the file's names for its own", async () => {
    await writeFile(file, "api: { keys: { secret: MESSAGELOOP_MY_KEYS } }\n");
    const env = { MESSAGELOOP_MY_KEYS: JSON.stringify(ENTRY) };
    const server = await startServer([], { cwd: folder, env });
    servers.push(server);
    await until(server, () => server.stdout().length >= 4);
    const records = server.stdout().map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records[0]).toMatchObject({ message: "configuration read", file: "config.yaml" });
    expect(records.filter(({ level }) => level === "warn")).toEqual([]);
  });
});

/** Takes what stands at a path out of tables, and the tables that are empty then. */
function remove(value: unknown, [key = "", ...rest]: readonly string[]): void {
  const inner = value as Record<string, unknown>;
  if (rest.length > 0) remove(inner[key], rest);
  const left = inner[key];
  const empty = typeof left === "object" && left !== null && Object.keys(left).length === 0;
  if (rest.length === 0 || empty) delete inner[key];
}
