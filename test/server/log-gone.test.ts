/** A server outlives its log: whatever becomes of its streams, it goes on and stops as SIGTERM stops it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import { Client, kindOf, textOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";
import { programPath } from "../support/programs.ts";
import { listens } from "./process.ts";

const CLI = programPath("cli");
/** How long a process may take until it listens, in milliseconds. */
const BOOT_MS = 30_000;

interface Deaf {
  readonly child: ChildProcess;
  readonly url: string;
  readonly http: number;
  readonly exit: Promise<unknown[]>;
}

const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

/** An environment with addresses that nobody else has. */
async function free() {
  const [ws, grpc, http] = [
    await settledPort("serve"),
    await settledPort("serve"),
    await settledPort("serve"),
  ];
  const env = {
    PATH: process.env["PATH"] ?? "",
    MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: `127.0.0.1:${ws}`,
    MESSAGELOOP_TRANSPORT_GRPC_ADDR: `127.0.0.1:${grpc}`,
    MESSAGELOOP_SERVER_HTTP_ADDR: `127.0.0.1:${http}`,
  };
  return { env, ws, http };
}

/** A server at level debug that listens; its ports are known, since nobody reads them off its log. */
async function start(
  stdout: "pipe" | number,
  stderr: "pipe" | number,
  env: Record<string, string> = {},
  args: readonly string[] = [],
): Promise<Deaf> {
  const { env: ports, ws, http } = await free();
  const child = spawn(process.execPath, [CLI, "serve", "--log-level", "debug", ...args], {
    stdio: ["ignore", stdout, stderr],
    env: { ...ports, ...env },
  });
  children.push(child);
  const exit = once(child, "exit");
  await eventually(() => listens(ws), Boolean, BOOT_MS);
  return { child, url: `ws://127.0.0.1:${ws}/ws`, http, exit };
}

async function open(url: string, channel?: string): Promise<Client<WebSocket>> {
  const socket = new WebSocket(url, [codecFor("json").subprotocol]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await once(socket, "open");
  const subscriptions = channel === undefined ? [] : [{ channel }];
  expect(kindOf(await client.connect({ subscriptions }))).toBe("connected");
  return client;
}

async function metric(http: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

/** It logs, serves, and ends as SIGTERM ends it, with nothing lost that was acknowledged. */
async function goesOn({ child, url, exit }: Deaf): Promise<void> {
  const subscriber = await open(url, "room");
  // Each of them is two lines of the log.
  for (let i = 0; i < 5; i++) (await open(url)).socket.close(1000);
  await subscriber.publish("room", "before the end");
  await new Promise((resolve) => setImmediate(resolve));
  child.kill("SIGTERM");
  expect((await subscriber.closed()).code).toBe(3512);
  expect(subscriber.messages.map(({ payload }) => textOf(payload))).toEqual(["before the end"]);
  expect(await exit).toEqual([0, null]);
}

test("the reader of standard output goes", async () => {
  const server = await start("pipe", "pipe");
  server.child.stdout?.destroy();
  await goesOn(server);
});

test("the readers of both streams go while clients are connected", async () => {
  const server = await start("pipe", "pipe");
  const early = await open(server.url);
  server.child.stdout?.destroy();
  server.child.stderr?.destroy();
  await goesOn(server);
  expect((await early.closed()).code).toBe(3512);
});

test("the disk is full", async () => {
  const full = openSync("/dev/full", "w");
  const server = await start(full, full);
  closeSync(full);
  await goesOn(server);
});

/** Fills the log until lines are lost. */
async function flood({ url, http }: Pick<Deaf, "url" | "http">): Promise<void> {
  await eventually(async () => {
    // Each refused request is a line; a session is closed after a hundred of them.
    const clients = await Promise.all(Array.from({ length: 10 }, () => open(url)));
    for (const client of clients) {
      for (let i = 0; i <= 100; i++) client.socket.send("{}{");
    }
    for (const client of clients) expect((await client.closed()).code).toBe(3509);
    return (await metric(http, "messageloop_log_lines_lost_total")) > 0;
  });
}

test("a reader that stalls holds nobody up, and what waits for it is bounded", async () => {
  const server = await start("pipe", "pipe");
  // A pipe that nobody reads from: neither this process nor the kernel takes more than its buffers hold.
  server.child.stdout?.pause();
  await flood(server);
  const told: string[] = [];
  server.child.stdout?.setEncoding("utf8").on("data", (text: string) => told.push(text));
  server.child.stdout?.resume();
  await eventually(() => told.join("").includes('"log lines were lost"'));
  await goesOn(server);
});

test("a terminal that is stopped holds nobody up, and one that goes stops the server in good order", async () => {
  const { env, ws, http } = await free();
  // The program `script` makes a terminal, and reads from it as long as somebody reads from itself.
  const command = `exec '${process.execPath}' '${CLI}' serve --log-level debug`;
  const child = spawn("script", ["-qfc", command, "/dev/null"], {
    stdio: ["ignore", "pipe", "ignore"],
    env,
  });
  children.push(child);
  child.stdout.pause();
  await eventually(() => listens(ws), Boolean, BOOT_MS);
  const url = `ws://127.0.0.1:${ws}/ws`;
  await flood({ url, http });
  const client = await open(url, "room");
  await client.publish("room", "before the end");
  child.kill("SIGKILL");
  expect((await client.closed()).code).toBe(3512);
  expect(client.messages.map(({ payload }) => textOf(payload))).toEqual(["before the end"]);
  await eventually(async () => !(await listens(http)));
});

/** Throws and rejects outside of everything when it gets SIGUSR2, as a fault of the software would. */
const FAULTY = `data:text/javascript,process.on("SIGUSR2", () => {
  setTimeout(() => { throw new Error("nobody caught this"); });
  Promise.reject(new Error("nobody handled this"));
})`;

test("an error that nobody catches is a line and a count, and the server goes on", async () => {
  const server = await start("pipe", "pipe", { NODE_OPTIONS: `--import=${encodeURI(FAULTY)}` });
  let log = "";
  server.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const client = await open(server.url);
  const count = (kind: string) =>
    metric(server.http, `messageloop_uncaught_errors_total{kind="${kind}"}`);
  expect([await count("exception"), await count("rejection")]).toEqual([0, 0]);
  for (let i = 1; i <= 15; i++) {
    server.child.kill("SIGUSR2");
    await eventually(
      async () => (await count("exception")) === i && (await count("rejection")) === i,
    );
  }
  const lines = () => log.split("\n").filter((line) => line.includes('"level":"error"'));
  // They are thirty, and a flood of them must not become one of the log: twenty, and one more in three seconds.
  const errors = await eventually(lines, ({ length }) => length >= 20);
  expect(errors.length).toBeLessThan(30);
  expect(errors[0]).toMatch(/"message":"an error that nobody has caught".*Error: nobody /);
  await client.publish("room", "x");
  client.socket.close(1000);
  await goesOn(server);
});

test("a terminal that goes stops it in good order, however often it says so", async () => {
  const { child, url, exit } = await start("pipe", "pipe");
  const client = await open(url);
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.kill("SIGHUP");
  child.kill("SIGHUP");
  expect((await client.closed()).code).toBe(3512);
  expect(await exit).toEqual([0, null]);
});

/** Listeners that never say that they are closed. */
const ENDLESS = `data:text/javascript,import net from "node:net";
net.Server.prototype.close = function () { return this; };`;

/** A folder with a file that gives clients no time to go. */
async function withoutDrain(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "messageloop-stop-"));
  await writeFile(join(folder, "config.yaml"), 'server: { drain_timeout: "0s" }\n');
  return folder;
}

test("a stop that does not come to its end is ended, and says so with its exit code", async () => {
  const env = { NODE_OPTIONS: `--import=${encodeURI(ENDLESS)}` };
  const folder = await withoutDrain();
  const server = await start("pipe", "pipe", env, ["--config-dir", folder]);
  await rm(folder, { recursive: true });
  let log = "";
  server.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  server.child.kill("SIGTERM");
  expect(await server.exit).toEqual([1, null]);
  expect(log).toContain('"cannot stop in time"');
});
