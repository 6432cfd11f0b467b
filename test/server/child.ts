/** The server as a process of its own that tells what it counts, and how much memory it takes. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import type { ServerStats } from "../conformance/host.ts";
import { programPath } from "../support/programs.ts";

const ANY_PORT = { addr: "127.0.0.1:0" };

/**
 * The room for fresh objects grows with the rate of the work, whatever becomes of it, and would hide
 * what is kept.
 */
const MEASURABLE = ["--expose-gc", "--max-semi-space-size=2"];

interface Settings {
  readonly server?: Readonly<Record<string, unknown>>;
  readonly transport?: Readonly<Record<string, unknown>>;
  readonly limits?: Readonly<Record<string, unknown>>;
}

export interface ChildServer {
  readonly pid: number;
  readonly ports: Readonly<Record<"websocket" | "grpc" | "http" | "control", number>>;
  /** Undefined while it runs. */
  exitCode(): number | null;
  stats(): Promise<ServerStats & { readonly connections: number }>;
  /** After a collection of garbage. */
  memory(): Promise<NodeJS.MemoryUsage>;
  /** Asks it to stop, and resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** Starts one; the test's end stops it. */
export async function startChild({
  server,
  transport,
  limits,
}: Settings = {}): Promise<ChildServer> {
  const config = {
    server: { ...server, http: ANY_PORT },
    transport: { ...transport, websocket: ANY_PORT, grpc: ANY_PORT },
    limits: { ...limits },
  };
  const options = JSON.stringify({ config, backend: "none" });
  const child = spawn(process.execPath, [...MEASURABLE, programPath("entry"), options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const stop = async (): Promise<number | null> => {
    child.kill("SIGTERM");
    return await exit;
  };
  onTestFinished(async () => {
    await stop();
  });
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    new Promise<string>((resolve) => lines.once("line", resolve)),
    exit.then(() => undefined),
  ]);
  if (line === undefined) throw new Error("the server ended before it was ready");
  const ports = JSON.parse(line) as ChildServer["ports"];
  const ask = async (path: string) => await fetch(`http://127.0.0.1:${ports.control}${path}`);
  return {
    pid: child.pid ?? 0,
    ports,
    exitCode: () => child.exitCode,
    stats: async () =>
      (await (await ask("/")).json()) as ServerStats & { readonly connections: number },
    memory: async () => (await (await ask("/memory")).json()) as NodeJS.MemoryUsage,
    stop,
  };
}
