/** The doors of a server with threads, all with TLS: each leads to any of them, and what they say is of the whole process. */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  APIService,
  type StatusResponse,
} from "../../src/protocol/gen/messageloop/server/v1/api_pb.js";
import { API_KEY, KEYS } from "../conformance/keys.ts";
import { freshChannel, texts } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { parseMetrics } from "./prometheus.ts";
import { open, startThreads, type ThreadsProcess } from "./threads-process.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const tls = { cert: fixture("cert.pem"), key: fixture("key.pem") };
const ca = readFileSync(tls.cert);
const listener = { addr: "127.0.0.1:0", tls };
const headers = { authorization: `Bearer ${API_KEY}` };

let server: ThreadsProcess;
const clients: Awaited<ReturnType<typeof open>>[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await eventually(sessions, (count) => count === 0);
});
beforeAll(async () => {
  server = await startThreads(2, {
    api: { keys: KEYS, public: true },
    server: { http: listener, drain_timeout: "1s" },
    transport: { websocket: listener, grpc: listener },
  });
});
afterAll(async () => {
  server?.terminate();
  await server?.ended;
});

/** A request on a connection of its own, so that the next one may be another thread's. */
async function get(port: number, path: string): Promise<{ status: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const options = { host: "localhost", port, path, ca, agent: false };
    const call = request(options, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode ?? 0, body });
    });
    call.on("error", reject);
    call.end();
  });
}

/** On all threads together. */
async function sessions(): Promise<number> {
  const { body } = await get(server.http, "/metrics");
  return parseMetrics(body).get("messageloop_sessions")?.samples[0]?.value ?? Number.NaN;
}

const secureUrl = (): string => server.url.replace("ws://127.0.0.1", "wss://localhost");
const kind = { encoding: "json", extended: true } as const;

/** Calls on a connection of their own. */
function api(protocol: "gRPC" | "Connect") {
  const [port, transport] =
    protocol === "gRPC"
      ? ([server.grpc, createGrpcTransport] as const)
      : ([server.http, createConnectTransport] as const);
  const baseUrl = `https://localhost:${port}`;
  return createClient(
    APIService,
    transport({
      baseUrl,
      httpVersion: protocol === "gRPC" ? "2" : "1.1",
      nodeOptions: { ca },
    } as never),
  );
}

test("clients on all threads hear what is published by gRPC and by the admin port", async () => {
  const channel = freshChannel();
  for (let i = 0; i < 4; i++) clients.push(await open(secureUrl(), kind, {}, { ca }));
  expect(Math.min(...(await server.connections()))).toBeGreaterThan(0);
  for (const client of clients) await client.subscribe(channel);
  for (const protocol of ["gRPC", "Connect"] as const) {
    const payload = {
      source: "/t",
      type: "t",
      data: { case: "textData" as const, value: protocol },
    };
    const publications = [
      {
        destination: { channels: [channel] },
        payload: { id: protocol, specVersion: "1.0", ...payload },
      },
    ];
    const { results } = await api(protocol).publish({ publications }, { headers });
    expect(
      results.flatMap(({ error, destinations: [one] }) => error?.message ?? one?.error?.message),
    ).toEqual([undefined]);
  }
  for (const client of clients)
    expect(texts(await client.received(2))).toEqual(["gRPC", "Connect"]);
});

test("Status is of the whole process, whichever thread answers, and another node after one has ended", async () => {
  const channel = freshChannel();
  for (let i = 0; i < 3; i++) clients.push(await open(secureUrl(), kind, {}, { ca }));
  for (const client of clients) await client.subscribe(channel);
  await clients[0]?.publish(channel, "x");
  for (const client of clients) await client.received(1);
  const status = async (): Promise<StatusResponse["nodes"]> =>
    (await api("Connect").status({}, { headers })).nodes;
  const answers = await Promise.all([status(), status(), status(), status()]);
  const [[first] = []] = answers;
  for (const nodes of answers) {
    expect(nodes).toHaveLength(1);
    expect(nodes[0]).toMatchObject({ name: first?.name, sessions: 3, subscriptions: 3 });
  }
  const { sessionId } = clients[0]?.all("connected")[0] ?? {};
  expect(sessionId?.startsWith(first?.name ?? "?")).toBe(true);
  await server.kill(1);
  await eventually(server.ready);
  expect((await status())[0]?.name).toBe(`${first?.name}+1`);
});

test("health and metrics answer, whichever thread has the connection", async () => {
  for (let connection = 0; connection < 3; connection++) {
    expect((await get(server.http, "/health/ready")).status).toBe(200);
    expect((await get(server.http, "/metrics")).body).toContain("messageloop_threads 2");
  }
});
