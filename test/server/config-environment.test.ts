/** Variables that look like settings: mistakes are named, what Kubernetes makes is left alone. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { sentenceOf, unknownVariables, VARIABLES } from "../../src/server/config/environment.ts";
import { type CliServer, linesOf, runCli, startServer, until } from "./process.ts";

const servers: CliServer[] = [];

afterEach(async () => {
  for (const { child, ended } of servers.splice(0)) {
    child.kill("SIGKILL");
    await ended;
  }
});

interface Port {
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly name?: string;
}

/** The variables that a pod gets for a service, as Kubernetes' documentation of services lists them. */
function ofService(service: string, ports: readonly Port[]): Record<string, string> {
  const word = (text: string): string => text.toUpperCase().replaceAll("-", "_");
  const host = "10.0.0.11";
  const [first] = ports;
  const env: Record<string, string> = {
    [`${word(service)}_SERVICE_HOST`]: host,
    [`${word(service)}_SERVICE_PORT`]: `${first?.port}`,
    [`${word(service)}_PORT`]: `tcp://${host}:${first?.port}`,
  };
  for (const { port, protocol, name } of ports) {
    if (name !== undefined) env[`${word(service)}_SERVICE_PORT_${word(name)}`] = `${port}`;
    const link = `${word(service)}_PORT_${port}_${protocol}`;
    env[link] = `${protocol.toLowerCase()}://${host}:${port}`;
    env[`${link}_PROTO`] = protocol.toLowerCase();
    env[`${link}_PORT`] = `${port}`;
    env[`${link}_ADDR`] = host;
  }
  return env;
}

const PORTS: readonly Port[] = [
  { port: 9080, protocol: "TCP", name: "ws" },
  { port: 9090, protocol: "TCP", name: "grpc-web" },
  { port: 8080, protocol: "UDP" },
  { port: 7, protocol: "SCTP", name: "x" },
];
const OF_KUBERNETES = {
  ...ofService("messageloop", PORTS),
  ...ofService("messageloop-redis", [{ port: 6379, protocol: "TCP" }]),
  ...ofService("messageloop-redis-headless-2", [{ port: 6379, protocol: "TCP", name: "client" }]),
};

test("what Kubernetes makes for a service called messageloop is nobody's mistake", () => {
  expect(Object.keys(OF_KUBERNETES)).toContain("MESSAGELOOP_PORT_9080_TCP_ADDR");
  expect(unknownVariables(OF_KUBERNETES)).toEqual([]);
});

test("what is read is known, and what is not ours is not looked at", () => {
  const known = Object.fromEntries([...VARIABLES.keys()].map((name) => [name, "x"]));
  const others = { MESSAGELOOP: "x", MESSAGELOOPS_ADDR: "x", messageloop_token: "x", PATH: "x" };
  expect(unknownVariables({ ...known, ...others, MESSAGELOOP_TOKEN: "x" })).toEqual([]);
  expect(unknownVariables({ MESSAGELOOP_ADDR: undefined })).toEqual([]);
});

test.each([
  ["MESSAGELOOP_TRANSPORT_WEBSOKET_ADDR", "MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR"],
  ["MESSAGELOOP_GRPC_ADDR", "MESSAGELOOP_TRANSPORT_GRPC_ADDR"],
  ["MESSAGELOOP_BROKER_REDIS_PASS", "MESSAGELOOP_BROKER_REDIS_PASSWORD"],
  ["MESSAGELOOP_BROKER_REDIS_SECRET", "MESSAGELOOP_BROKER_REDIS_NODE_SECRET"],
  ["MESSAGELOOP_SERVER_HTTP_ADDRESS", "MESSAGELOOP_SERVER_HTTP_ADDR"],
  ["MESSAGELOOP_REDIS_ADDR", "MESSAGELOOP_BROKER_REDIS_ADDR"],
  ["MESSAGELOOP_SERVER_HTTP_ADDR_", "MESSAGELOOP_SERVER_HTTP_ADDR"],
  ["MESSAGELOOP_PORTS", "MESSAGELOOP_API_KEYS"],
])("%s is most like %s", (name, nearest) => {
  expect(unknownVariables({ [name]: "hunter2" })).toEqual([{ name, nearest, setting: undefined }]);
});

test("a setting that has no variable is named as one of the file", () => {
  const [unknown] = unknownVariables({ MESSAGELOOP_SERVER_LOG_LEVEL: "debug" });
  expect(unknown?.setting).toBe("server.log_level");
  expect(unknown && sentenceOf(unknown)).toBe(
    "MESSAGELOOP_SERVER_LOG_LEVEL: is not read; server.log_level is set in the file",
  );
});

test("a name of any length is a mistake like any other", () => {
  const name = `MESSAGELOOP_${"X".repeat(100_000)}`;
  expect(unknownVariables({ [name]: "" })).toMatchObject([{ name }]);
});

describe("the command line", () => {
  const TYPO = { MESSAGELOOP_BROKER_REDIS_PASSWRD: "hunter2" };
  const SENTENCE =
    "MESSAGELOOP_BROKER_REDIS_PASSWRD: is no variable that is read; " +
    "the nearest one is MESSAGELOOP_BROKER_REDIS_PASSWORD";

  test("serve warns of a mistake, without its value, and starts", async () => {
    const server = await startServer([], { env: { ...TYPO, ...OF_KUBERNETES } });
    servers.push(server);
    await until(server, () => server.stdout().length >= 4);
    const records = server.stdout().map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.filter(({ level }) => level === "warn")).toEqual([
      {
        level: "warn",
        time: expect.any(String),
        message: "a variable of the environment is not read",
        variable: "MESSAGELOOP_BROKER_REDIS_PASSWRD",
        nearest: "MESSAGELOOP_BROKER_REDIS_PASSWORD",
      },
    ]);
    expect(server.stdout().join("\n")).not.toContain("hunter2");
  });

  test("with --strict-env it does not start, and names every mistake", async () => {
    const env = { ...TYPO, ...OF_KUBERNETES, MESSAGELOOP_LIMITS_CONNECTIONS: "1" };
    for (const command of ["serve", "check"]) {
      expect(await runCli([command, "--strict-env"], { env })).toEqual({
        code: 2,
        stdout: "",
        stderr: `${SENTENCE}\nMESSAGELOOP_LIMITS_CONNECTIONS: is not read; limits.connections is set in the file\n`,
      });
    }
  });

  test("with --strict-env and no mistake all is well", async () => {
    const { code, stderr } = await runCli(["check", "--strict-env"], { env: OF_KUBERNETES });
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("mistakes of the environment and of the file are told together", async () => {
    const env = { ...TYPO, MESSAGELOOP_SERVER_HTTP_ADDR: "nowhere" };
    const { code, stderr } = await runCli(["check", "--strict-env"], { env });
    expect(code).toBe(2);
    expect(linesOf(stderr)).toEqual([
      SENTENCE,
      expect.stringMatching(/^MESSAGELOOP_SERVER_HTTP_ADDR: must be an address/),
    ]);
  });

  test("check tells of a mistake and passes", async () => {
    const { code, stdout, stderr } = await runCli(["check"], { env: TYPO });
    expect([code, stdout, stderr]).toEqual([
      0,
      "the configuration without a file is valid\n" +
        "Every client is anonymous: nobody says who it is, and no token is asked for.\n",
      `${SENTENCE}\n`,
    ]);
  });

  test.each(["serve", "check"])(
    "the help of %s lists each variable with its setting",
    async (command) => {
      const { stdout } = await runCli([command, "--help"]);
      const listed = [...stdout.matchAll(/^ {2}(MESSAGELOOP_\w+) +(\S+)$/gm)];
      expect(listed.map(([, name, path]) => [name, path])).toEqual([...VARIABLES]);
    },
  );
});

test("the page of the configuration lists the same variables", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(MESSAGELOOP_\w+)` \| `(\S+)` \|$/gm)];
  const byName = (rows: (string | undefined)[][]) => rows.map((row) => row.join(" ")).toSorted();
  expect(byName(rows.map(([, name, path]) => [name, path]))).toEqual(byName([...VARIABLES]));
});
