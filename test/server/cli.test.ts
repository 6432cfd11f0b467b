/** Every command as a process of its own: what it prints, how it ends, what it says of mistakes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createCloudEvent } from "../../src/index.ts";
import {
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
  linesOf,
  listens,
  runCli,
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
const COMMANDS = ["serve", "check", "publish", "subscribe", "rpc"];

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

function jsonLines(text: string): unknown[] {
  return linesOf(text).map((line) => JSON.parse(line) as unknown);
}

describe.concurrent("help", () => {
  test("the program and each command explain themselves, with examples", async () => {
    const outcomes = await Promise.all([
      runCli(["--help"]),
      ...COMMANDS.map((command) => runCli([command, "--help"])),
    ]);
    for (const [index, { code, stdout, stderr }] of outcomes.entries()) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("Examples:\n  messageloop ");
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
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

describe.concurrent("a wrong command line is one line and exit code 2", () => {
  test.each([
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
    [["rpc", "a"], "missing required argument 'method'"],
    [["rpc", "a", "b", "--timeout", "5"], /'5' is invalid. It must be a duration such as 5s/],
    [["publish", "a", "--url", "http://x/"], /It must be an address such as ws:\/\/localhost:9080/],
    [["subscribe", "a", "--url", "nowhere"], /It must be an address such as ws:\/\/localhost:9080/],
    [["publish", "a", "b", "--type", ""], "a CloudEvent needs a type"],
  ])("%j", async (args, sentence) => {
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(linesOf(stderr)).toEqual([
      sentence instanceof RegExp ? expect.stringMatching(sentence) : sentence,
    ]);
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
    ["compression: true", ["FILE: transport.websocket.compression: is not a setting"]],
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
    const valid = { code: 0, stdout: `${file} is valid\n`, stderr: "" };
    expect(await runCli(["check", "--config", file])).toEqual(valid);
    expect(await runCli(["check", "--config-dir", folder])).toEqual(valid);
    await release();
    const { code, stdout } = await runCli(["check", "--config", EXAMPLE]);
    expect([code, stdout]).toEqual([0, `${EXAMPLE} is valid\n`]);
  });

  test("names every problem", async () => {
    await writeFile(file, "limits: { conections: 1, queue_bytes: 1 }\n");
    const { code, stdout, stderr } = await runCli(["check", "--config", file]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(linesOf(stderr)).toEqual([
      `${file}: limits.conections: is not a setting`,
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
    const { url } = await serve();
    const subscriber = startCli([
      "subscribe",
      "room",
      "hall",
      "--url",
      url,
      "--count",
      "3",
      ...mode,
    ]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    expect(subscriber.stderr()).toEqual(["subscribed to room, hall"]);
    const target = ["--url", url, ...mode];
    const json = ["--content-type", "application/json", "--type", "t", "--source", "/s"];
    const binary = new Uint8Array([0, 255, 254]);
    const published = [
      await runCli(["publish", "room", '{"text":"hé"}', "--id", "e-1", ...json, ...target]),
      await runCli(["publish", "hall", ...target], { input: "line one\nline two\n" }),
      await runCli(["publish", "room", "-", ...target], { input: binary }),
    ];
    for (const { code, stderr } of published) expect([code, stderr]).toEqual([0, ""]);
    const { code, stdout } = await subscriber.ended;
    expect(code).toBe(0);
    const [first, second, third] = published.map(({ stdout: line }) => jsonLines(line)[0]);
    expect(first).toEqual({
      channel: "room",
      offset: 1,
      epoch: expect.any(String),
      duplicate: false,
    });
    const common = { time: expect.any(Number), publisher: expect.any(Object) };
    const place = (answer: unknown) => {
      const { duplicate, ...rest } = answer as Record<string, unknown>;
      return { ...rest, ...common };
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
    expect(jsonLines(stdout).toSorted(by(byPlace))).toEqual(expected.toSorted(by(byPlace)));
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends a subscription with 0", async (signal) => {
    const { url } = await serve();
    const subscriber = startCli(["subscribe", "room", "--url", url]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    subscriber.child.kill(signal);
    expect(await subscriber.ended).toEqual({
      code: 0,
      stdout: "",
      stderr: "subscribed to room\n",
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
      stderr: `subscribed to room\n${sentence}\n`,
    });
    expect((await server.ended).code).toBe(signal === "SIGTERM" ? 0 : "SIGKILL");
  });

  test("a reader that stops reading is no error", async () => {
    const { url } = await serve();
    const subscriber = startCli(["subscribe", "room", "--url", url]);
    await until(subscriber, () => subscriber.stderr().length === 1);
    subscriber.child.stdout?.destroy();
    for (let i = 0; i < 2; i++) await runCli(["publish", "room", "x", "--url", url]);
    expect(await subscriber.ended).toMatchObject({ code: 0, stderr: "subscribed to room\n" });
  });

  test.each([
    [["publish", "a..b", "x"], /^BAD_REQUEST: /],
    [["subscribe", "**.a"], /^cannot connect to ws:.*: BAD_REQUEST: /],
  ])("what the server refuses is one line and exit code 1: %j", async (args, sentence) => {
    const { url } = await serve();
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
    const listener = { addr: "127.0.0.1:0" };
    server = createServer({
      config: parseConfig({
        server: { http: listener },
        transport: { websocket: listener, grpc: listener },
      }),
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
    });
    url = `ws://127.0.0.1:${(await server.start()).websocket}/ws`;
  });

  afterAll(() => server.stop());

  test.each([[[]], [["--proto"]]])("the answer is one JSON line: %j", async (mode) => {
    const outcome = await runCli([
      ...["rpc", "cart", "add", "1", "--url", url, "--token", "secret", ...mode],
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

  test("the token may come from the environment", async () => {
    const env = { MESSAGELOOP_TOKEN: "secret" };
    expect(await runCli(["rpc", "c", "m", "--url", url], { env })).toMatchObject({ code: 0 });
  });

  test.each([
    [["rpc", "c", "fail"], "OUT_OF_STOCK: none left"],
    [["rpc", "c", "hang", "--timeout", "50ms"], "RPC_TIMEOUT: no answer in time"],
    [["subscribe", "closed"], /^cannot connect to ws:\S+: ACL_ERROR: not for you$/],
  ])("an error is one line and exit code 1: %j", async (args, sentence) => {
    const outcome = await runCli([...args, "--url", url, "--token", "secret"]);
    expect(outcome).toMatchObject({ code: 1, stdout: "" });
    expect(linesOf(outcome.stderr)).toEqual([
      sentence instanceof RegExp ? expect.stringMatching(sentence) : sentence,
    ]);
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
    const echo = await serve();
    const args = ["rpc", "c", "m", "-", "--id", "e", "--url", echo.url];
    const { code, stdout } = await runCli(args, { input: "x" });
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toMatchObject([{ id: "e", type: "m", data: "x" }]);
  });
});

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
