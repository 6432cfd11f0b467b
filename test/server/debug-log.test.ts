/** What a server at level debug tells of single connections, by its own logger and over real sockets. */
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import { createLogger, createServer, MessagingError, parseConfig } from "../../src/server/index.ts";
import type { Server, ServerPorts } from "../../src/server/server.ts";
import { Client, kindOf } from "../support/client.ts";
import { ConnectClient } from "../support/stream-client.ts";

const TOKEN = "hunter2";
const TEXT = "nobody else's business";
const servers: Server[] = [];

afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

type Record = { readonly [key: string]: unknown };

async function start(level: "debug" | "info", limits: object = {}) {
  const lines: string[] = [];
  const listener = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: listener },
      transport: { websocket: listener, grpc: listener },
      limits,
    }),
    logger: createLogger(level, { write: (line) => lines.push(line) }),
    backends: {
      authenticate: async ({ token }) => {
        if (token !== TOKEN) throw new MessagingError("AUTH_ERROR", "the token has expired");
        return { userId: "ann" };
      },
    },
  });
  servers.push(server);
  const ports = await server.start();
  const told = (message: string): Record[] =>
    lines
      .map((line) => JSON.parse(line) as Record)
      .filter((record) => record["message"] === message);
  return { lines, ports, told };
}

async function open({ websocket }: ServerPorts, token: string): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`ws://127.0.0.1:${websocket}/ws`, [codecFor("json").subprotocol]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await once(socket, "open");
  await client.connect({ token, clientId: "phone", clientType: "app" });
  return client;
}

test("a connection is told from its beginning to its end", async () => {
  const { lines, ports, told } = await start("debug");
  const client = await open(ports, TOKEN);
  await client.publish("room", TEXT);
  client.socket.close(4321);
  await expect.poll(() => told("disconnected")).toHaveLength(1);
  const [connected] = told("connected");
  expect(connected).toMatchObject({
    level: "debug",
    user: "ann",
    client: "phone",
    clientType: "app",
    address: "127.0.0.1",
    encoding: "json",
    extended: true,
  });
  const [gone] = told("disconnected");
  expect(gone).toMatchObject({ session: connected?.["session"], by: "client", code: 4321 });
  expect(gone?.["seconds"]).toEqual(expect.any(Number));
  expect(lines.join("")).not.toContain(TOKEN);
  expect(lines.join("")).not.toContain(TEXT);
});

test("a stream is told as a socket is", async () => {
  const { ports, told } = await start("debug");
  const stream = new ConnectClient(`127.0.0.1:${ports.grpc}`);
  stream.send({ id: "1", connect: { client_id: "job", token: TOKEN } });
  await expect.poll(() => told("connected")).toMatchObject([{ client: "job", encoding: "proto" }]);
  stream.halfClose();
  await expect.poll(() => told("disconnected")).toMatchObject([{ by: "client", clean: true }]);
});

test("a token that is refused is told with its reason, and the end that follows", async () => {
  const { lines, ports, told } = await start("debug");
  const client = await open(ports, "an old token");
  expect((await client.closed()).code).toBe(3500);
  const [failed] = told("authentication failed");
  const reason = "the token has expired";
  expect(failed).toMatchObject({
    client: "phone",
    address: "127.0.0.1",
    code: "AUTH_ERROR",
    reason,
  });
  expect(told("disconnected")).toMatchObject([{ by: "server", code: 3500 }]);
  expect(lines.join("")).not.toContain("an old token");
});

test("an origin that is not allowed is told with the setting that would allow it", async () => {
  const { ports, told } = await start("debug");
  for (const origin of ["https://elsewhere.example", `https://${"x".repeat(5_000)}.example`]) {
    const socket = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`, { origin });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("close", resolve));
  }
  const [refused, long] = told("upgrade refused");
  expect(refused).toMatchObject({ level: "debug", address: "127.0.0.1", status: 403 });
  expect(refused?.["reason"]).toMatch(
    /https:\/\/elsewhere\.example.*transport\.websocket\.allowed_origins/,
  );
  expect(`${long?.["reason"]}`.length).toBeLessThanOrEqual(500);
});

test("a connection beyond the limit is told with the limit", async () => {
  const { ports, told } = await start("debug", { connections: 1 });
  await open(ports, TOKEN);
  const socket = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`);
  expect((await once(socket, "close"))[0]).toBe(3504);
  expect(told("connection refused")).toMatchObject([{ reason: "limits.connections" }]);
});

test("at level info nobody hears of single connections", async () => {
  const { lines, ports } = await start("info");
  const client = await open(ports, TOKEN);
  expect(kindOf(await client.ping())).toBe("pong");
  client.socket.close(1000);
  await client.closed();
  await open(ports, "an old token");
  expect(lines).toEqual([]);
});
