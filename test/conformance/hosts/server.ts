/** The self-hosted server as a process of its own, with the suite's backend and counters. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { CAPABILITIES } from "../../../src/server/capabilities.ts";
import { programPath } from "../../support/programs.ts";
import { memoryOf } from "../../support/wrangler.ts";
import type { Host, RunningServer, ServerOptions, ServerStats } from "../host.ts";
import { KEYS, TICKET_KEYS } from "../keys.ts";

const ANY_PORT = { addr: "127.0.0.1:0" };

interface Ports {
  readonly websocket: number;
  readonly grpc: number;
  readonly control: number;
  /** Of a server with threads: ports for WebSocket that each are for one of them. */
  readonly own?: readonly number[];
}

export const serverHost: Host = {
  capabilities: CAPABILITIES,
  opens: "cases",
  kinds: "all",
  configurable: true,
  start: (options) => startServer(options),
};

/** The same server, which compresses for its clients, and whose clients compress all that they send. */
export const compressingHost: Host = {
  capabilities: { ...CAPABILITIES, name: `${CAPABILITIES.name}, compressed` },
  opens: "nothing",
  kinds: "in turn",
  configurable: true,
  start: async (options) => ({
    ...(await startServer(options, {}, { compression: true })),
    compresses: true,
  }),
};

/**
 * @param broker the settings of the broker; default the one in memory
 * @param websocket those of WebSocket
 */
export async function startServer(
  { backend = "none", settings, maxConnections, stream = {}, keys = false }: ServerOptions,
  broker: Readonly<Record<string, unknown>> = {},
  websocket: Readonly<Record<string, unknown>> = {},
): Promise<RunningServer> {
  const config = {
    ...settings,
    broker,
    server: { ...settings?.server, http: ANY_PORT },
    transport: { websocket: { ...ANY_PORT, ...websocket }, grpc: ANY_PORT, stream },
    api: keys ? { keys: KEYS, ticket_keys: TICKET_KEYS } : {},
    limits: {
      ...settings?.limits,
      ...(maxConnections === undefined ? {} : { connections: maxConnections }),
    },
  };
  const child = spawn(
    process.execPath,
    [programPath("entry"), JSON.stringify({ config, backend })],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const exit = new Promise<undefined>((resolve) => child.once("exit", () => resolve(undefined)));
  const lines = createInterface({ input: child.stdout });
  const first = new Promise<string>((resolve) => lines.once("line", resolve));
  const line = await Promise.race([first, exit]);
  if (line === undefined) throw new Error("the server ended before it was ready");
  const ports = JSON.parse(line) as Ports;
  const own = ports.own?.map((port) => `ws://127.0.0.1:${port}/ws`);
  return {
    url: `ws://127.0.0.1:${ports.websocket}/ws`,
    ...(own && { spread: own, node: (index: number) => own[index % own.length] ?? "" }),
    grpc: `127.0.0.1:${ports.grpc}`,
    stats: async () => {
      const response = await fetch(`http://127.0.0.1:${ports.control}/`);
      return (await response.json()) as ServerStats;
    },
    memory: () => memoryOf(child.pid ?? 0),
    stop: async () => {
      child.kill("SIGTERM");
      await exit;
    },
  };
}
