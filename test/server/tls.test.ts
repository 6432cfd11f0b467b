/** Certificates on every listener, and the page in front of the WebSocket one. */
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { MessagingService } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server, type ServerPorts } from "../../src/server/server.ts";
import { Client, kindOf } from "../support/client.ts";
import { dialRaw, gone } from "./raw.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const tls = { cert: fixture("cert.pem"), key: fixture("key.pem") };
const listener = { addr: "127.0.0.1:0", tls };

let ca: Buffer;
let server: Server;
let ports: ServerPorts;

beforeAll(async () => {
  ca = await readFile(tls.cert);
  server = createServer({
    config: parseConfig({
      server: { http: listener, drain_timeout: "1s" },
      transport: {
        websocket: { ...listener, allowed_origins: ["https://app.example"] },
        grpc: listener,
      },
    }),
  });
  ports = await server.start();
});

afterAll(async () => {
  await server?.stop();
});

async function get(port: number, path: string): Promise<{ status: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const call = request({ host: "localhost", port, path, ca }, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode ?? 0, body });
    });
    call.on("error", reject);
    call.end();
  });
}

test("a WebSocket over TLS leads a session, and plain text gets none", async () => {
  const socket = new WebSocket(`wss://localhost:${ports.websocket}/ws`, ["messageloop+proto"], {
    ca,
    origin: "https://app.example",
  });
  const client = new Client<WebSocket>(socket, { encoding: "proto", extended: true });
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  expect(kindOf(await client.connect())).toBe("connected");
  expect(await client.publish("a", "secret")).toBe(1);
  socket.close();
  const plain = new WebSocket(`ws://localhost:${ports.websocket}/ws`);
  await new Promise((resolve) => plain.on("error", resolve));
});

test("an origin that is not allowed is refused", async () => {
  const socket = new WebSocket(`wss://localhost:${ports.websocket}/ws`, ["messageloop+json"], {
    ca,
    origin: "https://elsewhere.example",
  });
  const status = await new Promise((resolve) => {
    socket.on("unexpected-response", (call, response) => {
      resolve(response.statusCode);
      call.destroy();
    });
    socket.on("error", () => {});
  });
  expect(status).toBe(403);
});

test("gRPC over TLS leads a session", async () => {
  const transport = createGrpcTransport({
    baseUrl: `https://localhost:${ports.grpc}`,
    nodeOptions: { ca },
  });
  const client = createClient(MessagingService, transport);
  const abort = new AbortController();
  async function* requests() {
    yield { id: "1", envelope: { case: "connect" as const, value: { clientId: "grpc" } } };
    await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
  }
  for await (const message of client.messageLoop(requests(), { signal: abort.signal })) {
    expect(message.envelope.case).toBe("connected");
    break;
  }
  abort.abort();
});

test("health over TLS, and the page beside the endpoint", async () => {
  expect(await get(ports.http, "/health/ready")).toMatchObject({ status: 200 });
  const page = await get(ports.websocket, "/");
  expect(page.status).toBe(200);
  expect(page.body).toContain("<title>MessageLoop</title>");
  expect((await get(ports.websocket, "/main.js")).status).toBe(200);
  for (const path of ["/package.json", "/%2e%2e/package.json", "/constructor", "//"]) {
    expect((await get(ports.websocket, path)).status, path).toBe(404);
  }
  expect((await get(ports.websocket, "/ws")).status).toBe(400);
});

test("a connection that does not greet is gone within ten seconds, by every listener", async () => {
  const took = await Promise.all(Object.values(ports).map((port) => gone(dialRaw(port))));
  expect(Math.max(...took)).toBeLessThan(10_000);
});
