/** The command line as a process of its own, and the servers that tests start with it. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { sleep } from "../support/eventually.ts";
import { programPath } from "../support/programs.ts";

/** A folder that has no config.yaml, as the one may have where the tests are run. */
const HERE = fileURLToPath(new URL(".", import.meta.url));
/** Less than a test has, so that it is told what the process has printed. */
const PATIENCE_MS = 50_000;
/** A server is ended by its test; one that a test forgot does not stay for ever. */
const SERVER_PATIENCE_MS = 300_000;

export interface CliOptions {
  /** The program; default that of the sources. */
  readonly cli?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads on standard input; default nothing. */
  readonly input?: string | Uint8Array;
  /** Where it runs; default a folder without a config.yaml. */
  readonly cwd?: string;
  /** When it is killed, in milliseconds; default 50 s, and 300 s for a server. */
  readonly patienceMs?: number;
}

export interface Outcome {
  /** Exit code, or the signal that ended it. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Cli {
  readonly child: ChildProcess;
  /** What it has printed so far, line by line. */
  stdout(): string[];
  stderr(): string[];
  /** Resolves when it has ended; ends it first when that takes too long. */
  readonly ended: Promise<Outcome>;
}

export type Listener = "websocket" | "grpc" | "http";

export interface CliServer extends Cli {
  readonly ports: Readonly<Record<Listener, number>>;
  /** Address of its WebSocket endpoint. */
  readonly url: string;
}

/** Addresses for a server beside others, whatever its file says. */
export const FREE_PORTS: Readonly<Record<string, string>> = {
  MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: "127.0.0.1:0",
  MESSAGELOOP_TRANSPORT_GRPC_ADDR: "127.0.0.1:0",
  MESSAGELOOP_SERVER_HTTP_ADDR: "127.0.0.1:0",
};

export function startCli(
  args: readonly string[],
  {
    cli = programPath("cli"),
    env = {},
    input = "",
    cwd = HERE,
    patienceMs = PATIENCE_MS,
  }: CliOptions = {},
): Cli {
  const child = spawn(process.execPath, [cli, ...args], { cwd, env: { ...cleanEnv(), ...env } });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
  const ended = new Promise<Outcome>((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? signal ?? "", stdout, stderr });
    });
  });
  return { child, stdout: () => linesOf(stdout), stderr: () => linesOf(stderr), ended };
}

/** Runs it to its end. */
export function runCli(args: readonly string[], options?: CliOptions): Promise<Outcome> {
  return startCli(args, options).ended;
}

const COMMAND_LINES = fileURLToPath(new URL("command-lines.ts", import.meta.url));

/** Runs command lines that end by themselves, one after the other in one process. */
export async function runLines(lines: readonly (readonly string[])[]): Promise<Outcome[]> {
  const { code, stdout, stderr } = await startCli([programPath("cli"), JSON.stringify(lines)], {
    cli: COMMAND_LINES,
  }).ended;
  if (code !== 0) throw new Error(`the command lines ended with ${code}:\n${stdout}${stderr}`);
  return JSON.parse(stdout) as Outcome[];
}

/** A server on free ports, ready for clients. */
export async function startServer(
  args: readonly string[] = [],
  options: CliOptions = {},
): Promise<CliServer> {
  const env = { ...FREE_PORTS, ...options.env };
  const cli = startCli(["serve", ...args], { patienceMs: SERVER_PATIENCE_MS, ...options, env });
  const found = (): [Listener, number][] =>
    cli
      .stdout()
      .map((line) => JSON.parse(line) as { listener?: Listener; port?: number })
      .flatMap(({ listener, port }) => (listener && port ? [[listener, port]] : []));
  await until(cli, () => found().length === 3);
  const ports = Object.fromEntries(found()) as Record<Listener, number>;
  return { ...cli, ports, url: `ws://127.0.0.1:${ports.websocket}/ws` };
}

/** Waits for what a running process brings about. */
export async function until(cli: Cli, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    const { exitCode, signalCode } = cli.child;
    if (exitCode !== null || signalCode !== null || Date.now() > deadline) {
      throw new Error(
        `the process did not get there:\n${[...cli.stdout(), ...cli.stderr()].join("\n")}`,
      );
    }
    await sleep(10);
  }
}

export function linesOf(text: string): string[] {
  // What stands behind the last newline is not a line yet.
  return text.split("\n").slice(0, -1);
}

/** A port that something else listens on until it is released. */
export async function takenPort(): Promise<{ port: number; release(): Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, release: () => new Promise((resolve) => server.close(() => resolve())) };
}

export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** The environment without what would change a server's settings. */
function cleanEnv(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("MESSAGELOOP_")),
  );
}
