/** Every command as a process of its own: what it prints, how it ends, what it says of mistakes. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createCloudEvent, dial } from "../../src/client/v0/index.ts";
import {
  type Backends,
  createServer,
  MessagingError,
  parseConfig,
  type Server,
  toWireEvent,
} from "../../src/server/index.ts";
import { VERSION } from "../../src/server/version.ts";
import { settledPort } from "../support/ports.ts";
import {
  type CliServer,
  FREE_PORTS,
  linesOf,
  listens,
  type Outcome,
  runCli,
  runLines,
  startCli,
  startServer,
  takenPort,
  until,
} from "./process.ts";

const EXAMPLE = fileURLToPath(new URL("../../config.example.yaml", import.meta.url));
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
const COMMANDS = [
  ...["serve", "check", "bundle", "key", "token", "publish", "subscribe", "rpc"],
  ...["history", "presence", "channels", "disconnect", "completion", "top", "bench"],
];

let folder: string;
let file: string;
const servers: CliServer[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "messageloop-cli-"));
  file = join(folder, "config.yaml");
});

afterEach(async () => {
  for (const { child, ended } of servers.splice(0)) {
    child.kill("SIGKILL");
    await ended;
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function serve(...args: string[]): Promise<CliServer> {
  const server = await startServer(args);
  servers.push(server);
  return server;
}

function digestOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function jsonLines(text: string): unknown[] {
  return linesOf(text).map((line) => JSON.parse(line) as unknown);
}

describe.concurrent("help", () => {
  test("the program and each command explain themselves, with examples", async () => {
    const outcomes = await runLines([
      ["--help"],
      ...COMMANDS.map((command) => [command, "--help"]),
    ]);
    for (const [index, { code, stdout, stderr }] of outcomes.entries()) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("Examples:\n  messageloop ");
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
      if (index === 0) for (const command of COMMANDS) expect(stdout).toContain(`\n  ${command} `);
      else expect(stdout).toContain(`Usage: messageloop ${COMMANDS[index - 1]} `);
    }
  });

  test("the version is the package's", async () => {
    expect(await runCli(["--version"])).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
  });

  test("without a command the help stands on standard error", async () => {
    const { code, stdout, stderr } = await runCli([]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: messageloop ");
  });
});

/** What is wrong on the command line, and what is said of it. */
const WRONG: readonly (readonly [args: readonly string[], sentence: string | RegExp])[] = [
  [["sevre"], "unknown command 'sevre' (Did you mean serve?)"],
  [["serve", "--confg", "x"], "unknown option '--confg' (Did you mean --config?)"],
  [["--color"], "unknown option '--color'"],
  [["serve", "now"], "too many arguments for 'serve'. Expected 0 arguments but got 1."],
  [["serve", "--config"], "option '--config <file>' argument missing"],
  [
    ["check", "--config", "a", "--config-dir", "b"],
    "option '--config <file>' cannot be used with option '--config-dir <dir>'",
  ],
  [["serve", "--log-level", "loud"], /'loud' is invalid. Allowed choices are debug, info, warn/],
  [["publish"], "missing required argument 'channel'"],
  [["publish", "a", "b", "c"], /^too many arguments/],
  [["subscribe"], "missing required argument 'channels'"],
  [["subscribe", "a", "--count", "0"], /'0' is invalid. It must be a whole number of at least 1/],
  [
    ["subscribe", "a", "--rewind", "-1"],
    /'-1' is invalid. It must be a whole number of at least 1/,
  ],
  [["subscribe", "a", "--since", "12"], /'12' is invalid. It must be an event's id, such as /],
  [
    ["subscribe", "a", "b", "--since", "e-1"],
    "--since has to name its channel: --since chat.room=ID",
  ],
  [["subscribe", "a", "--since", "b=e-1"], "--since names b, which is not subscribed to"],
  [
    ["subscribe", "a", "--since", "e-1", "--rewind", "1"],
    /^option '--since <\[channel=\]id>' cannot be used with option '--rewind <n>'/,
  ],
  [["rpc", "a"], "missing required argument 'method'"],
  [["rpc", "a", "b", "--timeout", "5"], /'5' is invalid. It must be a duration such as 5s/],
  [["publish", "a", "--url", "http://x/"], /It must be an address such as ws:\/\/localhost:9080/],
  [["subscribe", "a", "--url", "nowhere"], /It must be an address such as ws:\/\/localhost:9080/],
  [["publish", "a", "b", "--type", ""], "a CloudEvent needs a type"],
  [["publish", "a", "b", "--no-dedup"], "--key-file, --transient and --no-dedup need --api"],
  [
    ["publish", "a", "b", "--api", "http://localhost", "--url", "ws://localhost"],
    "option '--api <url>' cannot be used with option '--url <url>'",
  ],
  [["history", "a", "--api", "localhost:8080"], /It must be an address such as http:\/\/localhost/],
  [["history", "a", "--limit", "0"], /It must be a whole number of at least 1/],
  [["disconnect", "s", "--code", "2000"], /It must be 1000, or a number from 3000 to 4999/],
  [["key", "--right", "root"], /'root' is invalid. must be one of publish, read, manage/],
  [["key", "--pattern", "**.a"], "patterns.0: only the last word may be **"],
  [["key", "--expires", "soon"], /^expires: must be a time such as/],
];

describe("a wrong command line is one line and exit code 2", () => {
  let outcomes: readonly Outcome[];
  beforeAll(async () => {
    outcomes = await runLines(WRONG.map(([args]) => args));
  });

  test.each(WRONG.map(([args, sentence], index) => [args, sentence, index] as const))(
    "%j",
    (_args, sentence, index) => {
      const { code, stdout, stderr } = outcomes[index] as Outcome;
      expect([code, stdout]).toEqual([2, ""]);
      expect(linesOf(stderr)).toEqual([
        sentence instanceof RegExp ? expect.stringMatching(sentence) : sentence,
      ]);
    },
  );

  test("as it is of a process of its own", async () => {
    const [[args]] = WRONG as [(typeof WRONG)[number]];
    expect(await runCli(args)).toEqual(outcomes[0]);
  });
});

describe("keys of the server API", () => {
  test("one is made with its entry, which settings take", async () => {
    const { code, stdout, stderr } = await runCli([
      ...["key", "--json", "--id", "ci", "--right", "publish", "--pattern", "a.**"],
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    const { key, entry } = JSON.parse(stdout) as { key: string; entry: { digest: string } };
    expect(key).toMatch(/^ml_ci_[\w-]{43}$/);
    expect(entry).toEqual({
      id: "ci",
      digest: digestOf(key),
      rights: ["publish"],
      patterns: ["a.**"],
    });
    expect(parseConfig({ api: { keys: [entry] } }).api.keys).toHaveLength(1);
    const people = await runCli(["key"]);
    const [, text = "", line = ""] =
      /^key: {3}(ml_\w+_\S{43})\nentry: (.*)\n$/.exec(people.stdout) ?? [];
    expect(JSON.parse(line)).toMatchObject({
      digest: digestOf(text),
      rights: ["publish", "read", "manage"],
      patterns: ["**"],
    });
  });

  test("with --dev a server has one for its folder, in a file for its owner alone", async () => {
    const place = await mkdtemp(join(tmpdir(), "messageloop-dev-"));
    const told: string[] = [];
    for (const round of [1, 2]) {
      const server = await startServer(["--dev"], { cwd: place });
      servers.push(server);
      const [, key = ""] = /^api key: (ml_dev_[\w-]{43})$/m.exec(server.stderr().join("\n")) ?? [];
      told.push(key);
      const answer = await fetch(
        `http://127.0.0.1:${server.ports.http}/messageloop.server.v1.APIService/Publish`,
        {
          method: "POST",
          headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
          body: JSON.stringify({ publications: [{ destination: { channels: ["a"] } }] }),
        },
      );
      expect([round, answer.status]).toEqual([round, 200]);
      expect(server.stdout().join("\n")).not.toContain(key);
    }
    expect(told[0]).toBe(told[1]);
    const file = join(place, ".messageloop-dev-key");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await writeFile(file, "something else\n");
    const { code, stderr } = await startCli(["serve", "--dev"], { cwd: place, env: FREE_PORTS })
      .ended;
    expect([code, linesOf(stderr)]).toEqual([
      2,
      [expect.stringMatching(/\.messageloop-dev-key holds no key of ours: remove it$/)],
    ]);
    await rm(place, { recursive: true });
  });

  test("without --dev and without a key the API is closed", async () => {
    const server = await startServer([]);
    servers.push(server);
    expect(server.stderr()).toEqual([]);
    const answer = await fetch(
      `http://127.0.0.1:${server.ports.http}/messageloop.server.v1.APIService/Publish`,
      { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" },
    );
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      code: "unauthenticated",
      message: expect.stringContaining("messageloop key"),
    });
  });
});

describe("a server that cannot start", () => {
  const junk = (): string => join(folder, "junk.pem");
  beforeAll(() => writeFile(junk(), "no certificate\n"));

  /** A file for free ports; `more` stands below transport.websocket. */
  async function written(more: string): Promise<number[]> {
    const ports = [
      await settledPort("serve"),
      await settledPort("serve"),
      await settledPort("serve"),
    ];
    const [websocket, grpc, http] = ports.map((port) => `"127.0.0.1:${port}"`);
    await writeFile(
      file,
      `server: { http: { addr: ${http} } }
transport:
  grpc: { addr: ${grpc} }
  websocket:
    addr: ${websocket}
    ${more}
`,
    );
    return ports;
  }

  async function refused(...args: string[]): Promise<string[]> {
    const { code, stdout, stderr } = await runCli(["serve", ...args]);
    expect([code, stdout]).toEqual([2, ""]);
    return linesOf(stderr.replaceAll(file, "FILE").replaceAll(folder, "FOLDER"));
  }

  test.each([
    ["deflate: true", ["FILE: transport.websocket.deflate: is not a setting"]],
    [
      "path: ws\n    allowed_origins: https://app.example",
      [
        "FILE: transport.websocket.path: must be a path such as /ws",
        "FILE: transport.websocket.allowed_origins: must be a list of origins",
      ],
    ],
    ["path: [", [expect.stringMatching(/^FILE, line \d+, column \d+: /)]],
    ["path: /a\n    path: /b", ["FILE, line 7, column 5: Map keys must be unique"]],
    [
      "tls: { cert: /nowhere/cert.pem, key: /nowhere/key.pem }",
      [expect.stringMatching(/^cannot read \/nowhere\/(cert|key).pem: there is no such file$/)],
    ],
    ["tls: { cert: /nowhere/cert.pem }", ["FILE: transport.websocket.tls.key: is missing"]],
  ])("%s", async (more, lines) => {
    const ports = await written(more);
    expect(await refused("--config", file)).toEqual(lines);
    for (const port of ports) expect(await listens(port)).toBe(false);
  });

  test("an unknown broker", async () => {
    await writeFile(file, "broker: { type: kafka }\n");
    expect(await refused("--config-dir", folder)).toEqual([
      'FILE: broker.type: is unknown: there are "memory" and "redis"',
    ]);
  });

  test("a certificate that is none", async () => {
    const ports = await written(`tls: { cert: "${junk()}", key: "${junk()}" }`);
    expect(await refused("--config", file)).toEqual([
      expect.stringMatching(
        /^FOLDER\/junk.pem and FOLDER\/junk.pem are no certificate with its key/,
      ),
    ]);
    for (const port of ports) expect(await listens(port)).toBe(false);
  });

  test("a file that is not there, and a folder in its place", async () => {
    const nowhere = join(folder, "nowhere");
    expect(await refused("--config", nowhere)).toEqual([
      "cannot read FOLDER/nowhere: there is no such file",
    ]);
    expect(await refused("--config-dir", nowhere)).toEqual([
      "cannot read FOLDER/nowhere/config.yaml: there is no such file",
    ]);
    expect(await refused("--config", folder)).toEqual(["cannot read FOLDER: it is a folder"]);
  });

  test.each([
    ["MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR", "the WebSocket listener"],
    ["MESSAGELOOP_TRANSPORT_GRPC_ADDR", "the gRPC listener"],
    ["MESSAGELOOP_SERVER_HTTP_ADDR", "the admin listener"],
  ])("a port that is taken: %s", async (variable, what) => {
    const ports = await written("path: /ws");
    const { port, release } = await takenPort();
    const env = { [variable]: `127.0.0.1:${port}` };
    const outcome = await runCli(["serve", "--config", file], { env });
    expect(outcome).toEqual({
      code: 2,
      stdout: "",
      stderr: `${what} cannot listen on 127.0.0.1:${port}: the port is taken\n`,
    });
    await release();
    for (const free of ports) expect(await listens(free)).toBe(false);
  });
});

describe("check", () => {
  test("says that a file is valid, and starts nothing", async () => {
    const { port, release } = await takenPort();
    await writeFile(file, `transport: { websocket: { addr: ":${port}" } }\n`);
    const anonymous =
      "Every client is anonymous: nobody says who it is, and no token is asked for.";
    const valid = { code: 0, stdout: `${file} is valid\n${anonymous}\n`, stderr: "" };
    expect(await runCli(["check", "--config", file])).toEqual(valid);
    expect(await runCli(["check", "--config-dir", folder])).toEqual(valid);
    await release();
    const { code, stdout } = await runCli(["check", "--config", EXAMPLE]);
    expect([code, stdout]).toEqual([0, `${EXAMPLE} is valid\n${anonymous}\n`]);
    const env = { MESSAGELOOP_SERVER_HTTP_ADR: "x" };
    const json = await runCli(["check", "--json"], { env });
    expect(json).toMatchObject({ code: 0, stderr: "" });
    const warnings = [expect.stringMatching(/^MESSAGELOOP_SERVER_HTTP_ADR: is no/)];
    expect(jsonLines(json.stdout)).toEqual([
      { host: "server", file: null, secrets: [], meaning: [anonymous], warnings },
    ]);
  });

  test("says why a user may or may not", async () => {
    await writeFile(
      file,
      `access:
  default: deny
  rules:
    - { channels: ["chat.**"], effect: allow, users: ["*"] }
    - { channels: ["chat.admin"], effect: deny, actions: [publish] }
    - { channels: ["device.{client}"], effect: allow }
`,
    );
    const why = (...words: string[]) => [
      ...["check", "--config", file, ...words.slice(3)],
      ...["--explain", ...words.slice(0, 3)],
    ];
    const [may, mayNot, nobody, client, onWorkers, ...wrong] = await runLines([
      why("ada", "chat.room", "publish"),
      why("ada", "chat.admin", "publish"),
      why("", "chat.**", "subscribe"),
      why("ada", "device.d1", "rpc", "--client", "d1", "--json"),
      why("ada", "chat.room", "rpc", "--host", "worker"),
      why("ada", "chat.room", "read"),
      why("ada", "chat.*", "publish"),
      why("ada"),
      ["check", "--client", "d1"],
    ]);
    expect(may).toEqual({
      code: 0,
      stdout: "allowed: ada, publish, chat.room\n  access.rules.0 allows chat.**\n",
      stderr: "",
    });
    expect(mayNot).toEqual({
      code: 1,
      stdout: "refused: ada, publish, chat.admin\n  access.rules.1 denies chat.admin\n",
      stderr: "",
    });
    expect([nobody?.code, linesOf(nobody?.stdout ?? "")[0]]).toEqual([
      1,
      "refused: nobody in particular, subscribe, chat.**",
    ]);
    expect(jsonLines(client?.stdout ?? "")).toEqual([
      {
        user: "ada",
        channel: "device.d1",
        action: "rpc",
        allowed: true,
        reasons: ["access.rules.2 allows device.d1"],
      },
    ]);
    expect(onWorkers).toEqual({
      code: 0,
      stdout: "allowed: ada, rpc, chat.room\n  access.rules.0 allows chat.**\n",
      stderr: "",
    });
    expect(wrong).toHaveLength(4);
    for (const { code, stdout, stderr } of wrong) {
      expect([code, stdout, linesOf(stderr).length]).toEqual([2, "", 1]);
    }
  });

  test("names every problem", async () => {
    await writeFile(file, "limits: { conections: 1, queue_bytes: 1 }\n");
    const { code, stdout, stderr } = await runCli(["check", "--config", file]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(linesOf(stderr)).toEqual([
      `${file}: limits.conections: is not a setting; did you mean connections?`,
      `${file}: limits.queue_bytes: must be a whole number of at least 65536`,
    ]);
  });
});

describe("serve", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it with 0", async (signal) => {
    const server = await serve();
    for (const port of Object.values(server.ports)) expect(await listens(port)).toBe(true);
    const url = `http://127.0.0.1:${server.ports.http}/health/ready`;
    expect((await fetch(url)).status).toBe(200);
    server.child.kill(signal);
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" });
    const words = server.stdout().map((line) => (JSON.parse(line) as { message: string }).message);
    expect(words.slice(3)).toEqual(["stopping", "stopped"]);
    for (const port of Object.values(server.ports)) expect(await listens(port)).toBe(false);
  });

  test("each listener is one JSON line", async () => {
    const server = await serve();
    const { websocket, grpc, http } = server.ports;
    const line = (listener: string, port: number, more = {}) =>
      expect.objectContaining({
        level: "info",
        message: "listening",
        listener,
        address: `127.0.0.1:${port}`,
        port,
        tls: false,
        ...more,
      });
    expect(server.stdout().map((text) => JSON.parse(text) as unknown)).toEqual([
      line("websocket", websocket, { path: "/ws" }),
      line("grpc", grpc),
      line("http", http),
    ]);
  });

  test("a second signal ends it at once with 1", async () => {
    const server = await serve();
    const socket = await silentWebSocket(server.ports.websocket);
    server.child.kill("SIGTERM");
    await until(server, () => server.stdout().some((line) => line.includes('"stopping"')));
    const before = Date.now();
    server.child.kill("SIGINT");
    expect(await server.ended).toMatchObject({ code: 1 });
    expect(Date.now() - before).toBeLessThan(5_000);
    socket.destroy();
  });

  test("the level of the command line stands above the file's", async () => {
    await writeFile(file, "server: { log_level: error }\n");
    // Without its lines nobody would know the ports, so this waits for them.
    const server = await serve("--config", file, "--log-level", "info");
    expect(server.stdout()).toHaveLength(3);
  });

  test("the example and the file of the original's README boot as they are", async () => {
    await writeFile(file, ORIGINAL);
    for (const config of [EXAMPLE, file]) {
      const server = await serve("--config", config);
      const { code } = await runCli(["publish", "c", "x", "--url", server.url]);
      expect(code).toBe(0);
    }
  });
});

test("a server in memory starts where Redis's client cannot be loaded, and one on Redis does not", async () => {
  const refuse = `import { registerHooks } from "node:module";
    registerHooks({
      resolve: (specifier, context, next) => {
        if (specifier === "redis") throw new Error("nobody needs it");
        return next(specifier, context);
      },
    });`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(refuse)}` };
  servers.push(await startServer([], { env }));
  const onRedis = join(folder, "redis.yaml");
  await writeFile(onRedis, "broker: { type: redis }\n");
  const outcome = await runCli(["serve", "--config", onRedis], { env });
  expect(outcome).toEqual({ code: 2, stdout: "", stderr: "nobody needs it\n" });
});

describe("publish and subscribe", () => {
  test.each([[[]], [["--proto"]]])("an event arrives as it was published: %j", async (mode) => {
    const url = await served();
    const subscriber = startCli([
      "subscribe",
      "room",
      "hall",
      "--url",
      url,
      ...["--count", "3", "--json", ...mode],
    ]);
    await until(subscriber, () => subscriber.stdout().length === 1);
    const target = ["--url", url, "--json", ...mode];
    const json = ["--content-type", "application/json", "--type", "t", "--source", "/s"];
    const binary = new Uint8Array([0, 255, 254]);
    const published = [
      await runCli(["publish", "room", '{"text":"hé"}', "--id", "e-1", ...json, ...target]),
      await runCli(["publish", "hall", ...target], { input: "line one\nline two\n" }),
      await runCli(["publish", "room", "-", ...target], { input: binary }),
    ];
    for (const { code, stderr } of published) expect([code, stderr]).toEqual([0, ""]);
    const { code, stdout, stderr } = await subscriber.ended;
    expect([code, stderr]).toEqual([0, ""]);
    const [stands, ...events] = jsonLines(stdout);
    const position = { epoch: expect.any(String), offset: 0 };
    expect(stands).toEqual({
      subscribed: [
        { channel: "room", position },
        { channel: "hall", position },
      ],
    });
    const [first, second, third] = published.map(({ stdout: line }) => jsonLines(line)[0]);
    expect(first).toEqual({
      channel: "room",
      offset: 1,
      epoch: expect.any(String),
      duplicate: false,
    });
    const common = {
      time: expect.any(Number),
      replay: false,
      publisher: expect.any(Object),
      metadata: {},
    };
    const place = (answer: unknown) => {
      const { duplicate, ...rest } = answer as Record<string, unknown>;
      return { id: `${rest["epoch"]}-${rest["offset"]}`, ...rest, ...common };
    };
    const event = { id: expect.any(String), source: "/messageloop/cli", type: "message" };
    const expected = [
      {
        ...place(first),
        event: {
          id: "e-1",
          source: "/s",
          specversion: "1.0",
          type: "t",
          datacontenttype: "application/json",
          data: { text: "hé" },
        },
      },
      {
        ...place(second),
        event: {
          ...event,
          specversion: "1.0",
          datacontenttype: "text/plain",
          data: "line one\nline two\n",
        },
      },
      {
        ...place(third),
        event: {
          ...event,
          specversion: "1.0",
          datacontenttype: "application/octet-stream",
          data_base64: "AP/+",
        },
      },
    ];
    // Between channels no order is promised.
    const byPlace = (value: unknown): string => JSON.stringify(value).slice(0, 30);
    expect(events.toSorted(by(byPlace))).toEqual(expected.toSorted(by(byPlace)));
  });

  test("without --json it is text, which does nothing to a terminal", async () => {
    const url = await served();
    const target = ["--url", url, "--source", "/s"];
    const subscriber = startCli(["subscribe", "room", "--url", url, "--count", "4"]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    const nasty = "red \u001b[31m\u009b0m\u202e\nline\t";
    const json = ["--content-type", "application/json", "--type", "chat.message"];
    const outcomes = [
      await runCli(["publish", "room", '{"text": "hé"}', "--id", "e", ...json, ...target]),
      await runCli(["publish", "room", '{"text": "hé"}', "--id", "e", ...json, ...target]),
      await runCli(["publish", "room", ...target], { input: nasty }),
      await runCli(["publish", "room", ...target], { input: new Uint8Array([0, 255]) }),
      await runCli(["publish", "room", "", ...target]),
    ];
    expect(await subscriber.ended).toMatchObject({ code: 0 });
    const epoch = /subscribed to room at (\w+)-0/.exec(subscriber.stderr()[0] ?? "")?.[1];
    expect(outcomes.map(({ stdout }) => stdout)).toEqual([
      `room  ${epoch}-1\n`,
      `room  ${epoch}-1  duplicate\n`,
      `room  ${epoch}-2\n`,
      `room  ${epoch}-3\n`,
      `room  ${epoch}-4\n`,
    ]);
    const [, ...lines] = subscriber.stdout().map((line) => line.split("  ").slice(1).join("  "));
    expect(subscriber.stdout()[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}room {2}/);
    expect(subscriber.stdout()[0]).toContain('  chat.message  {"text":"hé"}');
    expect(lines).toEqual([
      `room  ${epoch}-2  message  red \\u001b[31m\\u009b0m\\u202e\\nline\\t`,
      `room  ${epoch}-3  message  (2 bytes)`,
      `room  ${epoch}-4  message`,
    ]);
  });

  describe.concurrent("--since and --rewind", () => {
    let server: Server;
    let url: string;
    /** Ids of two messages in room.a and one in room.b. */
    let ids: string[];

    beforeAll(async () => {
      ({ server, url } = await serverInProcess());
      const client = await dial(url);
      ids = [];
      for (const [channel, data] of [
        ["room.a", "1"],
        ["room.a", "2"],
        ["room.b", "3"],
      ] as const) {
        const event = createCloudEvent({ source: "/s", type: "t", data });
        const { epoch, offset } = await client.publish(channel, event);
        ids.push(`${epoch}-${offset}`);
      }
      await client.close();
    });

    afterAll(() => server.stop());

    /** Runs until so many lines of JSON are there. */
    async function lines(count: number, ...args: string[]): Promise<Record<string, unknown>[]> {
      const subscriber = startCli(["subscribe", "--url", url, "--json", ...args]);
      await until(subscriber, () => subscriber.stdout().length >= count);
      subscriber.child.kill("SIGTERM");
      const { code, stdout, stderr } = await subscriber.ended;
      expect([code, stderr]).toEqual([0, ""]);
      return jsonLines(stdout) as Record<string, unknown>[];
    }

    /** Lines of a channel's messages and its recovery: between channels there is no order. */
    function about(channel: string, all: readonly Record<string, unknown>[]) {
      return all.filter(({ channel: own, recovered }) => {
        return channel === (own ?? (recovered as { channel?: string } | undefined)?.channel);
      });
    }

    test("--rewind begins with the last events, and says what is missing", async () => {
      const [subscribed, ...rest] = await lines(4, "room.a", "--rewind", "2");
      const position = { epoch: expect.any(String), offset: 2 };
      expect(subscribed).toEqual({ subscribed: [{ channel: "room.a", position }] });
      expect(rest).toMatchObject([
        { id: ids[0], replay: true, event: { data: "1" } },
        { id: ids[1], replay: true, event: { data: "2" } },
        { recovered: { channel: "room.a", position, gap: null } },
      ]);
    });

    test("--since begins after an event, of one channel or of each", async () => {
      const one = await lines(3, "room.a", "--since", `${ids[0]}`);
      expect(one.slice(1)).toMatchObject([
        { id: ids[1], replay: true },
        { recovered: { channel: "room.a", gap: null } },
      ]);
      const lost = "room.b=anotherLog00-7";
      const two = await lines(
        4,
        "room.a",
        "room.b",
        "--since",
        `room.a=${ids[1]}`,
        "--since",
        lost,
      );
      expect(about("room.a", two)).toMatchObject([{ recovered: { channel: "room.a", gap: null } }]);
      expect(about("room.b", two)).toMatchObject([
        { id: ids[2], replay: true },
        {
          recovered: {
            channel: "room.b",
            gap: { reason: "epoch_changed", after: { epoch: "anotherLog00", offset: 7 } },
          },
        },
      ]);
    });

    test("--since of a pattern is its own position, or that of a channel below it", async () => {
      const [first] = await lines(1, "room.*");
      const [subscribed] = (first?.["subscribed"] ?? []) as {
        position: { epoch: string; offset: number };
      }[];
      const client = await dial(url);
      const event = createCloudEvent({ source: "/s", type: "t", data: "new" });
      await client.publish("room.new", event);
      await client.close();
      const own = `room.*=${subscribed?.position.epoch}-${subscribed?.position.offset}`;
      const args = ["room.*", "--since", own, "--since", `room.a=${ids[0]}`];
      const all = await lines(6, ...args);
      expect(about("room.a", all)).toMatchObject([
        { id: ids[1], replay: true },
        { recovered: { channel: "room.a", gap: null } },
      ]);
      expect(about("room.new", all)).toMatchObject([
        { channel: "room.new", replay: true, event: { data: "new" } },
        { recovered: { channel: "room.new", gap: null } },
      ]);
      expect(all.at(-1)).toMatchObject({ recovered: { channel: "room.*", gap: null } });
      expect(all).toHaveLength(6);
    });

    test("as text what is said of the subscription stands on standard error", async () => {
      const args = ["room.a", "--since", "anotherLog00-7", "--url", url];
      const subscriber = startCli(["subscribe", ...args]);
      await until(subscriber, () => subscriber.stderr().length === 2);
      subscriber.child.kill("SIGINT");
      const { code, stdout, stderr } = await subscriber.ended;
      expect([code, linesOf(stdout).length]).toEqual([0, 2]);
      expect(linesOf(stderr)).toEqual([
        `subscribed to room.a at ${ids[1]}`,
        "recovered room.a: messages are missing after anotherLog00-7 (epoch_changed)",
      ]);
    });
  });

  test("what the application does to the subscriptions is said", async () => {
    const { server, url } = await serverInProcess();
    const subscribers = [[], ["--json"]].map((mode) =>
      startCli(["subscribe", "room", "--url", url, ...mode]),
    );
    const first = [subscribers[0]?.stderr, subscribers[1]?.stdout];
    for (const [index, subscriber] of subscribers.entries()) {
      await until(subscriber, () => first[index]?.().length === 1);
    }
    for (const { id } of server.engine.sessions()) {
      await server.engine.subscribe(id, ["hall"]);
      await server.engine.unsubscribe(id, ["room"]);
      await server.engine.disconnect(id, 4000, "bye");
    }
    const [text, json] = await Promise.all(subscribers.map(({ ended }) => ended));
    await server.stop();
    expect(linesOf(text?.stderr ?? "").slice(1)).toEqual([
      expect.stringMatching(/^subscribed to hall at \w+-0$/),
      "the server has ended room",
      "connection lost: 4000 bye",
    ]);
    expect(json).toMatchObject({ code: 1, stderr: "connection lost: 4000 bye\n" });
    expect(jsonLines(json?.stdout ?? "").slice(1)).toMatchObject([
      { subscribed: [{ channel: "hall", position: { offset: 0 } }] },
      { unsubscribed: ["room"] },
    ]);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends a subscription with 0", async (signal) => {
    const url = await served();
    const subscriber = startCli(["subscribe", "room", "--url", url]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    subscriber.child.kill(signal);
    expect(await subscriber.ended).toEqual({
      code: 0,
      stdout: "",
      stderr: expect.stringMatching(/^subscribed to room at \w+-0\n$/),
    });
  });

  test.each([
    ["SIGTERM", "connection lost: 3512 server going away"],
    ["SIGKILL", "connection lost: 1006"],
  ] as const)("a server that goes by %s ends a subscription with 1", async (signal, sentence) => {
    const server = await serve();
    const subscriber = startCli(["subscribe", "room", "--url", server.url]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    server.child.kill(signal);
    expect(await subscriber.ended).toEqual({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^subscribed to room at \w+-0\n/),
    });
    expect(subscriber.stderr()[1]).toBe(sentence);
    expect((await server.ended).code).toBe(signal === "SIGTERM" ? 0 : "SIGKILL");
  });

  test("a reader that stops reading is no error", async () => {
    const url = await served();
    const subscriber = startCli(["subscribe", "room", "--url", url]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    subscriber.child.stdout?.destroy();
    for (let i = 0; i < 2; i++) await runCli(["publish", "room", "x", "--url", url]);
    expect(await subscriber.ended).toMatchObject({ code: 0 });
    expect(subscriber.stderr()).toHaveLength(1);
  });

  test.each([
    [["publish", "a..b", "x"], /^BAD_REQUEST: /],
    [["subscribe", "**.a"], /^cannot subscribe to \*\*\.a: BAD_REQUEST: /],
  ])("what the server refuses is one line and exit code 1: %j", async (args, sentence) => {
    const url = await served();
    const { code, stdout, stderr } = await runCli([...args, "--url", url]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(linesOf(stderr)).toEqual([expect.stringMatching(sentence)]);
  });

  test.each(["publish", "subscribe"])("%s without a server is one line", async (command) => {
    const url = `ws://127.0.0.1:${await settledPort("serve")}/ws`;
    const { code, stdout, stderr } = await runCli([command, "room", "--url", url]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(linesOf(stderr)).toEqual([
      expect.stringMatching(/^cannot connect to ws:\/\/127.0.0.1:\d+\/ws: connect ECONNREFUSED/),
    ]);
  });
});

describe("rpc", () => {
  let server: Server;
  let url: string;

  beforeAll(async () => {
    ({ server, url } = await serverInProcess({
      backends: {
        authenticate: async ({ token }) => {
          if (token !== "secret") throw new MessagingError("AUTH_ERROR", "who are you?");
          return { userId: "ann" };
        },
        authorizeSubscribe: async ({ channel }) => {
          if (channel === "closed") throw new MessagingError("ACL_ERROR", "not for you");
        },
        rpc: async ({ channel, method, payload, caller }) => {
          if (method === "fail") throw new MessagingError("OUT_OF_STOCK", "none left");
          if (method === "hang") return await new Promise(() => {});
          const data = { channel, type: payload.type, user: caller.userId };
          return toWireEvent(createCloudEvent({ id: "a", source: "/shop", type: "answer", data }));
        },
      },
    }));
  });

  afterAll(() => server.stop());

  test.each([[[]], [["--proto"]]])("the answer is one JSON line: %j", async (mode) => {
    const outcome = await runCli([
      ...["rpc", "cart", "add", "1", "--url", url, "--token", "secret", "--json", ...mode],
    ]);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(jsonLines(outcome.stdout)).toEqual([
      {
        id: "a",
        source: "/shop",
        specversion: "1.0",
        type: "answer",
        datacontenttype: "application/json",
        data: { channel: "cart", type: "add", user: "ann" },
      },
    ]);
  });

  test("the token may come from the environment, and without --json the answer is text", async () => {
    const env = { MESSAGELOOP_TOKEN: "secret" };
    expect(await runCli(["rpc", "c", "m", "--url", url], { env })).toEqual({
      code: 0,
      stdout: 'answer  {"channel":"c","type":"m","user":"ann"}\n',
      stderr: "",
    });
  });

  test.each([
    [["rpc", "c", "fail"], "OUT_OF_STOCK: none left"],
    [["rpc", "c", "hang", "--timeout", "50ms"], "RPC_TIMEOUT: no answer in time"],
    [["subscribe", "open", "closed"], "cannot subscribe to closed: ACL_ERROR: not for you"],
  ])("an error is one line and exit code 1: %j", async (args, sentence) => {
    const outcome = await runCli([...args, "--url", url, "--token", "secret"]);
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(linesOf(outcome.stderr)).toEqual([sentence]);
  });

  test("a token that is refused is one line and exit code 1", async () => {
    const outcome = await runCli(["rpc", "c", "m", "--url", url, "--token", "wrong"]);
    expect(outcome).toEqual({
      code: 1,
      stdout: "",
      stderr: `cannot connect to ${url}: AUTH_ERROR: who are you?\n`,
    });
  });

  test("without a backend the event comes back", async () => {
    const args = ["rpc", "c", "m", "-", "--id", "e", "--json", "--url", await served()];
    const { code, stdout } = await runCli(args, { input: "x" });
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([{ id: "e", type: "m", data: "x" }]);
  });
});

/** A server in this process, and where its WebSocket endpoint is. */
async function serverInProcess(options: { readonly backends?: Backends } = {}) {
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener },
    transport: { websocket: listener, grpc: listener },
  });
  const server = createServer({ config, ...options });
  return { server, url: `ws://127.0.0.1:${(await server.start()).websocket}/ws` };
}

/** The address of a server in this process, which ends with the test. */
async function served(): Promise<string> {
  const { server, url } = await serverInProcess();
  onTestFinished(() => server.stop());
  return url;
}

/** A WebSocket whose client answers nothing any more, close frames included. */
function silentWebSocket(port: number) {
  return new Promise<ReturnType<typeof connect>>((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.write(
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    socket.on("error", () => {});
    socket.once("data", () => resolve(socket));
  });
}

/** Compares by what a function makes of each. */
function by<T>(key: (value: T) => string): (left: T, right: T) => number {
  return (left, right) => key(left).localeCompare(key(right));
}
