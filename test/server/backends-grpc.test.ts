/** Backends over gRPC on the self-hosted server, and programs that speak the `ProxyService` of v0.1.1. */
import { once } from "node:events";
import { createServer as createHttp2, type Http2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer as createTcp, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  ProxyService,
  RPCResponseSchema,
} from "../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { Client, kindOf, textOf, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { settledPort } from "../support/ports.ts";

const SECRET = "stack of 10.1.2.3";
const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A program that serves some of the procedures. Returns its port. */
async function backend(service: Partial<ServiceImpl<typeof ProxyService>>, port = 0) {
  const routes = (router: ConnectRouter) => router.service(ProxyService, service);
  const server = createHttp2(connectNodeAdapter({ routes }));
  const sessions = await listening(server, port);
  return { port: (server.address() as AddressInfo).port, sessions };
}

async function listening(server: Http2Server, port: number): Promise<Set<ServerHttp2Session>> {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  stops.push(async () => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return sessions;
}

async function inFrontOf(port: number, more: object = {}, settings: object = {}) {
  const warnings: [string, Record<string, unknown>][] = [];
  const any = { addr: "127.0.0.1:0" };
  const { server: own = {}, ...rest } = settings as { server?: object };
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s", ...own },
      transport: { websocket: any, grpc: any },
      hooks: {},
      proxy: [
        {
          name: "shop",
          endpoint: `127.0.0.1:${port}`,
          grpc: { insecure: true },
          routes: [{ channel: "*", method: "*" }],
          ...more,
        },
      ],
      ...rest,
    }),
    logger: { warn: (message, fields = {}) => warnings.push([message, fields]) },
  });
  const { websocket } = await server.start();
  stops.push(() => server.stop());
  return { server, url: `ws://127.0.0.1:${websocket}/ws`, warnings };
}

async function open(url: string, extended = true): Promise<Client<WebSocket>> {
  const socket = new WebSocket(url, ["messageloop+proto"]);
  stops.push(async () => socket.terminate());
  const client = new Client<WebSocket>(socket, { encoding: "proto", extended });
  await once(socket, "open");
  return client;
}

async function client(url: string): Promise<Client<WebSocket>> {
  const opened = await open(url);
  expect(kindOf(await opened.connect())).toBe("connected");
  return opened;
}

async function rpc(from: Client<WebSocket>, text = ""): Promise<string> {
  const { envelope } = await from.rpc("get", text, "shop.a");
  if (envelope.case === "error") return envelope.value.code;
  return textOf(envelope.case === "rpcReply" ? envelope.value : undefined);
}

const answer = (text: string) =>
  create(RPCResponseSchema, {
    payload: { id: "a", source: "/b", type: "t", data: { case: "textData", value: text } },
  });

test("a program that serves ProxyService decides who somebody is and what it hears, and answers", async () => {
  const callers: unknown[] = [];
  const { port, sessions } = await backend({
    authenticate: ({ username, password }) =>
      password === "let me in"
        ? { userInfo: { id: `user of ${username}` } }
        : { error: { code: "AUTH_ERROR", type: "auth_error", message: "wrong token" } },
    // In v0.1.1 there was no other way to say no.
    subscribeAcl: ({ channel }) => {
      if (channel === "secret") throw new ConnectError(SECRET, Code.PermissionDenied);
      if (channel === "plain") throw new ConnectError(SECRET, Code.Unknown);
      if (channel === "down") throw new ConnectError(SECRET, Code.Unavailable);
      return {};
    },
    rPC: ({ id, channel, method, payload, caller }, { requestHeader }) => {
      callers.push({ id, channel, method, ...caller, key: requestHeader.get("x-key") });
      return answer(`${textOf(payload)} back`);
    },
  });
  const { url } = await inFrontOf(
    port,
    { grpc: { insecure: true, headers: { "X-Key": "a" } } },
    { hooks: { authenticate: "shop", subscribe: "shop" } },
  );
  const stranger = await open(url);
  const refused = valueAs(await stranger.connect({ token: "x" }), "error");
  expect([refused.code, refused.message]).toEqual(["AUTH_ERROR", "wrong token"]);
  expect((await stranger.closed()).code).toBe(3500);

  const ada = await open(url);
  const { userId, sessionId } = valueAs(await ada.connect({ token: "let me in" }), "connected");
  expect(userId).toBe("user of test");
  const ack = valueAs(await ada.subscribe("news", "secret", "plain", "down"), "subscribeAck");
  expect(ack.subscriptions.map(({ error }) => error?.code)).toEqual([
    undefined,
    "ACL_ERROR",
    "ACL_ERROR",
    "UNAVAILABLE",
  ]);
  expect(await rpc(ada, "hi")).toBe("hi back");
  expect(callers).toMatchObject([
    { channel: "shop.a", method: "get", sessionId, userId, clientId: "test", key: "a" },
  ]);
  expect(sessions.size).toBe(1);
  for (const one of [stranger, ada]) {
    expect(one.frames.filter((frame) => Buffer.from(frame).includes("10.1.2.3"))).toEqual([]);
  }
});

test("no status of gRPC reaches a client, and an application's error closes no circuit", async () => {
  const { port } = await backend({
    rPC: ({ payload }) => {
      const code = Number(textOf(payload));
      if (code > 0) throw new ConnectError(SECRET, code);
      return answer("fine");
    },
  });
  const { url, warnings } = await inFrontOf(port, { circuit_breaker: { failures: 3 } });
  const asking = await client(url);
  for (const code of [
    Code.InvalidArgument,
    Code.Internal,
    Code.Unknown,
    Code.PermissionDenied,
    Code.ResourceExhausted,
    Code.Unimplemented,
  ]) {
    expect(await rpc(asking, `${code}`), Code[code]).toBe("PROXY_ERROR");
  }
  expect(await rpc(asking, `${Code.DeadlineExceeded}`)).toBe("RPC_TIMEOUT");
  expect(await rpc(asking, "0")).toBe("fine");
  for (let i = 0; i < 3; i++) expect(await rpc(asking, `${Code.Unavailable}`)).toBe("PROXY_ERROR");
  expect(await rpc(asking, "0")).toBe("UNAVAILABLE");
  const told = [
    ...asking.frames.map((frame) => Buffer.from(frame).toString()),
    `${JSON.stringify(warnings)}`,
  ];
  expect(told.filter((text) => text.includes("10.1.2.3"))).toEqual([]);
});

test("a call that hangs ends at its deadline, of which the backend is told, and others go on", async () => {
  const deadlines: (number | undefined)[] = [];
  let aborted = 0;
  const { port } = await backend({
    rPC: async ({ payload }, { signal, timeoutMs }) => {
      if (textOf(payload) === "fine") return answer("fine");
      deadlines.push(timeoutMs());
      signal.addEventListener("abort", () => {
        aborted += 1;
      });
      return await new Promise<never>(() => {});
    },
  });
  const { url } = await inFrontOf(port, {}, { server: { rpc_timeout: "2s" } });
  const [asking, other] = [await client(url), await client(url)];
  const began = Date.now();
  const hanging = rpc(asking);
  expect(await rpc(other, "fine")).toBe("fine");
  expect(await rpc(asking, "fine")).toBe("fine");
  expect(await hanging).toBe("RPC_TIMEOUT");
  expect(Date.now() - began).toBeLessThan(15_000);
  expect(deadlines[0]).toBeGreaterThan(500);
  expect(deadlines[0]).toBeLessThanOrEqual(2_000);
  // Who leaves is no longer waited for either.
  asking.rpc("get", "", "shop.a").catch(() => {});
  await eventually(() => deadlines.length === 2);
  asking.socket.terminate();
  await eventually(
    async () => aborted,
    (count) => count === 2,
  );
});

test("an answer that is too large is none", async () => {
  const { port } = await backend({
    rPC: ({ payload }) => answer("x".repeat(Number(textOf(payload)))),
  });
  const { url } = await inFrontOf(port, { response_bytes: 65_536 });
  const asking = await client(url);
  expect(await rpc(asking, `${10 * 1_048_576}`)).toBe("PROXY_ERROR");
  expect(await rpc(asking, "50000")).toHaveLength(50_000);
});

test("what is no gRPC is no answer, and what listens and says nothing is late", async () => {
  const sockets: Socket[] = [];
  const tcp = createTcp((socket) => {
    sockets.push(socket.on("error", () => {}));
    socket.write(`HTTP/1.1 400 Bad Request\r\n\r\n${SECRET}`);
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  stops.push(async () => {
    for (const socket of sockets) socket.destroy();
    tcp.close();
  });
  const web = createHttp2((_, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(SECRET);
  });
  await listening(web, 0);
  for (const port of [(tcp.address() as AddressInfo).port, (web.address() as AddressInfo).port]) {
    const { url, warnings } = await inFrontOf(port, { timeout: "1s" });
    const asking = await client(url);
    expect(["PROXY_ERROR", "RPC_TIMEOUT"]).toContain(await rpc(asking));
    expect(JSON.stringify(warnings)).not.toContain(SECRET);
    expect(asking.frames.filter((frame) => Buffer.from(frame).includes("10.1.2.3"))).toEqual([]);
  }
});

test("a backend that goes and comes back is found again", async () => {
  const port = await settledPort("serve");
  const { sessions } = await backend({ rPC: () => answer("first") }, port);
  const { url } = await inFrontOf(port);
  const asking = await client(url);
  expect(await rpc(asking)).toBe("first");
  await stops.splice(0, 1)[0]?.();
  await eventually(
    async () => sessions.size,
    (size) => size === 0,
  );
  expect(await rpc(asking)).toBe("PROXY_ERROR");
  await backend({ rPC: () => answer("second") }, port);
  expect(await rpc(asking)).toBe("second");
});

test("without TLS a backend is not spoken to unless it is set", async () => {
  const { port } = await backend({ rPC: () => answer("plain") });
  const { url } = await inFrontOf(port, { grpc: {} });
  expect(await rpc(await client(url))).toBe("PROXY_ERROR");
});
