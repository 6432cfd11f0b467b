/** A server with threads as a process of its own, whose threads a test can end or keep busy. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type ClientOptions, WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import type { ThreadsOptions } from "../../src/server/threads/threads.ts";
import { Client, type ClientSettings, kindOf } from "../support/client.ts";
import { programPath } from "../support/programs.ts";

export interface Outcome {
  readonly code: number | null;
  readonly stderr: string;
}

export interface ThreadsProcess {
  readonly url: string;
  /** Addresses that each are for one thread. */
  readonly own: readonly string[];
  readonly grpc: number;
  readonly http: number;
  readonly pid: number;
  /** Ends a thread. */
  kill(thread: number): Promise<void>;
  /** Keeps a thread busy for so long, in milliseconds; default for ever. */
  loop(thread: number, ms?: number): Promise<void>;
  /** Has a thread fill its heap. */
  fill(thread: number): Promise<void>;
  /** Has something throw in a thread that nobody catches. */
  throws(thread: number): Promise<void>;
  /** Connections by thread. */
  connections(): Promise<readonly number[]>;
  /** Whether all threads take part as they should. */
  ready(): Promise<boolean>;
  terminate(): void;
  readonly ended: Promise<Outcome>;
}

const listener = { addr: "127.0.0.1:0" };

export async function startThreads(
  workers: number,
  config: Readonly<Record<string, unknown>> = {},
  limits: Pick<ThreadsOptions, "hangMs" | "heapMb" | "mostDeaths"> = {},
): Promise<ThreadsProcess> {
  const options = {
    backend: "none",
    limits,
    config: {
      ...config,
      server: { http: listener, ...(config["server"] as object), workers },
      transport: { websocket: listener, grpc: listener, ...(config["transport"] as object) },
    },
  };
  const child = spawn(process.execPath, [programPath("entry"), JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Outcome>((resolve) =>
    child.once("close", (code) => resolve({ code, stderr })),
  );
  const line = await Promise.race([
    new Promise<string>((resolve) =>
      createInterface({ input: child.stdout }).once("line", resolve),
    ),
    ended.then(({ stderr: text }) => {
      throw new Error(`the server ended before it was ready: ${text}`);
    }),
  ]);
  const ports = JSON.parse(line) as Record<"websocket" | "grpc" | "http" | "control", number> & {
    own: readonly number[];
  };
  const control = async (path: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${ports.control}/${path}`);
    return await answer.text();
  };
  const address = (port: number): string => `ws://127.0.0.1:${port}/ws`;
  return {
    url: address(ports.websocket),
    own: ports.own.map(address),
    grpc: ports.grpc,
    http: ports.http,
    pid: child.pid ?? 0,
    kill: async (thread) => {
      await control(`kill?thread=${thread}`);
    },
    loop: async (thread, ms) => {
      await control(`loop?thread=${thread}${ms === undefined ? "" : `&ms=${ms}`}`);
    },
    fill: async (thread) => {
      await control(`fill?thread=${thread}`);
    },
    throws: async (thread) => {
      await control(`throw?thread=${thread}`);
    },
    connections: async () => JSON.parse(await control("connections")) as number[],
    ready: async () => (await control("ready")) === "true",
    terminate: () => child.kill("SIGTERM"),
    ended,
  };
}

export async function open(
  url: string,
  settings: ClientSettings = { encoding: "json", extended: true },
  connect: Parameters<Client["connect"]>[0] = {},
  tls: ClientOptions = {},
): Promise<Client<WebSocket>> {
  const socket = new WebSocket(url, [codecFor(settings.encoding).subprotocol], tls);
  const client = new Client<WebSocket>(socket, settings);
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  const kind = kindOf(await client.connect(connect));
  if (kind !== "connected") throw new Error(`the client was refused: ${kind}`);
  return client;
}
