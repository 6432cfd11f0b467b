/**
 * Backends over HTTP on the self-hosted server: whatever one does, a call ends in time with a code of ours, nothing of
 * it reaches a client, and other sessions notice nothing.
 */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import {
  createServer as createHttp,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer as createTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { Client, kindOf, textOf, valueAs } from "../support/client.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { ownTime } from "../support/own-time.ts";
import { settledPort } from "../support/ports.ts";
import { pour, type RunningBackend, serve } from "../support/proxy-service.ts";
import { startServer } from "./process.ts";
import { parseMetrics } from "./prometheus.ts";

const SECRET = "stack of 10.1.2.3";
const JSON_TYPE = { "content-type": "application/json" };
const ANSWER = JSON.stringify({
  payload: { id: "a", source: "/b", type: "t", text_data: "hello" },
});
const MEBIBYTE = 1_048_576;
/** Takes some kilobytes, and would be 20 MiB. */
const BOMB = gzipSync(`"${"x".repeat(20 * MEBIBYTE)}"`);

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function backend(listener: RequestListener): Promise<RunningBackend> {
  const running = await serve(listener);
  stops.push(() => running.stop());
  return running;
}

interface Lines {
  readonly warnings: [string, Record<string, unknown>][];
}

async function messageloop(settings: object): Promise<{ server: Server; url: string } & Lines> {
  const warnings: Lines["warnings"] = [];
  const any = { addr: "127.0.0.1:0" };
  const { server: more = {}, ...rest } = settings as { server?: object };
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s", ...more },
      transport: { websocket: any, grpc: any },
      ...rest,
    }),
    logger: { warn: (message, fields = {}) => warnings.push([message, fields]) },
  });
  const { websocket } = await server.start();
  stops.push(() => server.stop());
  return { server, url: `ws://127.0.0.1:${websocket}/ws`, warnings };
}

/** A server whose one backend listens on a port of this machine. */
async function inFrontOf(port: number, more: object = {}, settings: object = {}) {
  const shop = {
    name: "shop",
    endpoint: `http://127.0.0.1:${port}/hooks?tenant=1`,
    routes: [{ channel: "*", method: "*" }],
    ...more,
  };
  return await messageloop({ proxy: [shop], hooks: {}, ...settings });
}

async function open(url: string): Promise<Client<WebSocket>> {
  const socket = new WebSocket(url, ["messageloop+json"]);
  stops.push(async () => socket.terminate());
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await once(socket, "open");
  return client;
}

async function client(url: string): Promise<Client<WebSocket>> {
  const opened = await open(url);
  expect(kindOf(await opened.connect())).toBe("connected");
  return opened;
}

/** What an RPC is answered with: its text, or the code of an error. */
async function rpc(from: Client<WebSocket>, text = ""): Promise<string> {
  const { envelope } = await from.rpc("get", text, "shop.a");
  if (envelope.case === "error") return envelope.value.code;
  return textOf(envelope.case === "rpcReply" ? envelope.value : undefined);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}

test("an RPC goes to the URL as it is configured, and its answer comes back", async () => {
  const seen: { request: IncomingMessage; body: string }[] = [];
  const { port, connections } = await backend(async (request, response) => {
    seen.push({ request, body: await bodyOf(request) });
    response.writeHead(200, JSON_TYPE).end(ANSWER);
  });
  const http = { headers: { "X-Tenant": "a", "Content-Type": "text/plain", Authorization: "b" } };
  const { server, url } = await inFrontOf(port, { http });
  const asking = await client(url);
  for (let i = 0; i < 5; i++) expect(await rpc(asking, "hi")).toBe("hello");
  // Connections are kept.
  expect(await connections()).toBe(1);
  const { request, body } = seen[0] as (typeof seen)[0];
  expect([request.method, request.url]).toEqual(["POST", "/hooks?tenant=1"]);
  expect(request.headers).toMatchObject({
    host: `127.0.0.1:${port}`,
    "content-type": "application/json",
    "content-length": `${Buffer.byteLength(body)}`,
    "accept-encoding": "identity",
    "messageloop-hook": "rpc",
    "x-tenant": "a",
    authorization: "b",
  });
  expect(JSON.parse(body)).toMatchObject({ channel: "shop.a", method: "get" });
  await server.stop();
  await eventually(connections, (count) => count === 0);
});

describe("an answer that is none is PROXY_ERROR, and nothing of it reaches the client", () => {
  const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
    "status 500": (_, response) => response.writeHead(500).end(SECRET),
    "status 500 in JSON": (_, response) =>
      response.writeHead(500, JSON_TYPE).end(JSON.stringify({ error: { message: SECRET } })),
    "a redirect": (_, response) =>
      response.writeHead(302, { location: "http://169.254.169.254/" }).end(SECRET),
    "a redirect that keeps the body": (_, response) =>
      response.writeHead(307, { location: "/elsewhere" }).end(),
    "not modified": (_, response) => response.writeHead(304).end(),
    "no body": (_, response) => response.writeHead(200, JSON_TYPE).end(),
    "no content": (_, response) => response.writeHead(204).end(),
    "another type": (_, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end(`<h1>${SECRET}</h1>`),
    "no JSON": (_, response) => response.writeHead(200, JSON_TYPE).end(`{"payload": ${SECRET}`),
    "a list": (_, response) => response.writeHead(200, JSON_TYPE).end(`["${SECRET}"]`),
    "wrong types": (_, response) =>
      response.writeHead(200, JSON_TYPE).end(JSON.stringify({ payload: { id: [SECRET] } })),
    "10 MiB with a length": (_, response) =>
      response.writeHead(200, JSON_TYPE).end(`"${SECRET}${"x".repeat(10 * MEBIBYTE)}"`),
    "10 MiB in chunks": async (_, response) => {
      response.writeHead(200, JSON_TYPE);
      await pour(response, "x".repeat(65_536), 160);
    },
    "10 MiB until the end of the connection": (_, response) =>
      response.writeHead(200, { ...JSON_TYPE, connection: "close" }).end("x".repeat(10 * MEBIBYTE)),
    "an early hint, and then nothing that is read": (_, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      response.writeHead(500).end(SECRET);
    },
    "compressed, and growing": (_, response) =>
      response.writeHead(200, { ...JSON_TYPE, "content-encoding": "gzip" }).end(BOMB),
    "compressed without need": (_, response) =>
      response
        .writeHead(200, { ...JSON_TYPE, "content-encoding": "br" })
        .end(JSON.stringify({ payload: { id: SECRET } })),
    "headers without end": (_, response) =>
      response.writeHead(200, { "x-secret": SECRET.repeat(2_000) }).end(ANSWER),
    "a cut": (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, "content-length": "1000" });
      response.write(SECRET);
      setTimeout(() => response.destroy(), 20);
    },
    "a crash": (request) => request.socket.destroy(),
    "a reset": (request) => request.socket.resetAndDestroy(),
  };

  test.each(Object.keys(answers))("%s", async (name) => {
    const { port } = await backend(async (request, response) => {
      if ((await bodyOf(request)).includes("fine")) {
        response.writeHead(200, JSON_TYPE).end(ANSWER);
        return;
      }
      await answers[name]?.(request, response);
    });
    const { url, warnings } = await inFrontOf(port);
    const [asking, other] = [await client(url), await client(url)];
    const failing = rpc(asking);
    expect(await rpc(other, "fine")).toBe("hello");
    expect(await failing).toBe("PROXY_ERROR");
    expect(await rpc(asking, "fine")).toBe("hello");
    for (const { frames } of [asking, other]) {
      expect(frames.filter((frame) => `${frame}`.includes("10.1.2.3"))).toEqual([]);
    }
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings)).not.toContain(SECRET);
  });

  test("no HTTP at all", async () => {
    const sockets: Socket[] = [];
    const tcp = createTcp((socket) => {
      sockets.push(socket.on("error", () => {}));
      socket.once("data", () => socket.end(`SSH-2.0-OpenSSH_9.6 ${SECRET}\r\n`));
    });
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    stops.push(async () => {
      for (const socket of sockets) socket.destroy();
      tcp.close();
    });
    const { url, warnings } = await inFrontOf((tcp.address() as AddressInfo).port);
    expect(await rpc(await client(url))).toBe("PROXY_ERROR");
    expect(JSON.stringify(warnings)).not.toContain("OpenSSH");
  });
});

test("an answer of 10 MiB without end takes no memory", async () => {
  const { port } = await backend(async (request, response) => {
    await bodyOf(request);
    response.writeHead(200, JSON_TYPE);
    await pour(response, "x".repeat(MEBIBYTE), Number.POSITIVE_INFINITY);
  });
  const { url } = await inFrontOf(port);
  const asking = await client(url);
  expect(await rpc(asking)).toBe("PROXY_ERROR");
  const { rss } = process.memoryUsage();
  expect(await Promise.all(Array.from({ length: 20 }, () => rpc(asking)))).toEqual(
    new Array(20).fill("PROXY_ERROR"),
  );
  expect(process.memoryUsage().rss - rss).toBeLessThan(256 * MEBIBYTE);
});

test("answers up to the bound are read, and the bound can be set", async () => {
  const { port } = await backend(async (request, response) => {
    const text = "x".repeat(Number(JSON.parse(await bodyOf(request)).payload.text_data));
    response
      .writeHead(200, JSON_TYPE)
      .end(JSON.stringify({ payload: { id: "a", text_data: text } }));
  });
  const { url } = await inFrontOf(port, { response_bytes: 2_048 });
  const asking = await client(url);
  expect(await rpc(asking, "1900")).toHaveLength(1_900);
  expect(await rpc(asking, "2100")).toBe("PROXY_ERROR");
});

test("a backend that hangs ends at the smallest of the timeouts, and its request is cut", async () => {
  let [open, closed] = [0, 0];
  const { port } = await backend((_, response) => {
    open += 1;
    response.once("close", () => {
      closed += 1;
    });
  });
  for (const [timeout, rpc_timeout] of [
    ["1s", "30s"],
    ["30s", "1s"],
  ]) {
    [open, closed] = [0, 0];
    const { url } = await inFrontOf(port, { timeout }, { server: { rpc_timeout } });
    const asking = await client(url);
    const began = Date.now();
    expect(await rpc(asking)).toBe("RPC_TIMEOUT");
    expect(Date.now() - began).toBeGreaterThanOrEqual(990);
    expect(Date.now() - began).toBeLessThan(15_000);
    await eventually(
      async () => closed,
      (count) => count === 1,
    );
    expect(open).toBe(1);
  }
});

test("a body that comes too slowly is late as well", async () => {
  const { port } = await backend((_, response) => {
    response.writeHead(200, JSON_TYPE);
    const dripping = setInterval(() => response.write(" "), 20);
    response.once("close", () => clearInterval(dripping));
  });
  const { url } = await inFrontOf(port, { timeout: "300ms" });
  expect(await rpc(await client(url))).toBe("RPC_TIMEOUT");
});

test("when the client goes its requests are cut, and an answer after that is nothing", async () => {
  const cut: boolean[] = [];
  let open = 0;
  const { port } = await backend(async (request, response) => {
    if ((await bodyOf(request)).includes("fine")) {
      response.writeHead(200, JSON_TYPE).end(ANSWER);
      return;
    }
    open += 1;
    response.once("close", () => {
      cut.push(!response.writableFinished);
      response.writeHead(200, JSON_TYPE).end(ANSWER);
    });
  });
  const { url, server, warnings } = await inFrontOf(port);
  const [leaving, other] = [await client(url), await client(url)];
  for (let i = 0; i < 3; i++) leaving.rpc("get", "", "shop.a").catch(() => {});
  await eventually(() => open === 3);
  leaving.socket.terminate();
  await eventually(
    async () => cut.length,
    (count) => count === 3,
  );
  expect(cut).toEqual([true, true, true]);
  expect(await rpc(other, "fine")).toBe("hello");
  expect(server.engine.stats().openCalls).toBe(0);
  // Nobody is to blame.
  expect(warnings).toEqual([]);
});

test("a slow RPC holds up neither its session nor another, and answers come as they come", async () => {
  const { port } = await backend(async (request, response) => {
    const { text_data: text = "" } = JSON.parse(await bodyOf(request)).payload;
    await sleep(Number(text));
    response
      .writeHead(200, JSON_TYPE)
      .end(JSON.stringify({ payload: { id: "a", text_data: text } }));
  });
  const { url } = await inFrontOf(port);
  const [asking, other] = [await client(url), await client(url)];
  const order: string[] = [];
  const slow = rpc(asking, "2000").then((text) => order.push(text));
  const fast = rpc(asking, "0").then((text) => order.push(text));
  await asking.subscribe("news");
  await asking.publish("news", "meanwhile");
  await asking.received(1);
  order.push("published");
  expect(await rpc(other, "0")).toBe("0");
  await Promise.all([slow, fast]);
  expect(order.at(-1)).toBe("2000");
  expect(order.toSorted()).toEqual(["0", "2000", "published"]);
});

test("a backend that cannot be connected to is tried again, and later its circuit is open", async () => {
  const port = await settledPort("serve");
  const { url, server, warnings } = await inFrontOf(port, {
    circuit_breaker: { failures: 3, pause: "3s" },
  });
  const asking = await client(url);
  for (let i = 0; i < 3; i++) expect(await rpc(asking)).toBe("PROXY_ERROR");
  const time = ownTime();
  expect(await rpc(asking)).toBe("UNAVAILABLE");
  time.stop();
  expect(time.ms()).toBeLessThan(400);
  expect(warnings.map(([message]) => message)).toContain(
    "a backend fails and is not asked for a while",
  );
  const returned = createHttp((request, response) => {
    request.resume();
    response.writeHead(200, JSON_TYPE).end(ANSWER);
  }).listen(port, "127.0.0.1");
  stops.push(async () => {
    returned.closeAllConnections();
    returned.close();
  });
  await once(returned, "listening");
  await eventually(
    () => rpc(asking),
    (answer) => answer === "hello",
  );
  await server.stop();
});

test("more calls than may be under way or wait are refused at once", async () => {
  const responses: ServerResponse[] = [];
  const { port } = await backend((_, response) => responses.push(response));
  const { url } = await inFrontOf(port, { concurrency: 1, queue: 1 });
  const asking = await client(url);
  const calls = [rpc(asking), rpc(asking)];
  await eventually(
    async () => responses.length,
    (count) => count === 1,
  );
  expect(await rpc(asking)).toBe("UNAVAILABLE");
  responses[0]?.writeHead(200, JSON_TYPE).end(ANSWER);
  await eventually(
    async () => responses.length,
    (count) => count === 2,
  );
  responses[1]?.writeHead(200, JSON_TYPE).end(ANSWER);
  expect(await Promise.all(calls)).toEqual(["hello", "hello"]);
});

test("hooks are asked, with who it is, and answer for everyone", async () => {
  const hooks: [string, Record<string, unknown>][] = [];
  const { port } = await backend(async (request, response) => {
    const hook = `${request.headers["messageloop-hook"]}`;
    const body = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
    hooks.push([hook, body]);
    const refused = { error: { code: "NOT_YOURS", type: "acl_error", message: "no" } };
    if (hook === "authenticate") {
      const known = body["password"] === "let me in";
      const answer = known
        ? { user_info: { id: "ada" } }
        : { error: { code: "WHO", message: "?" } };
      response.writeHead(200, JSON_TYPE).end(JSON.stringify(answer));
    } else if (hook === "subscribe_acl") {
      const answer = body["channel"] === "secret" ? refused : {};
      response.writeHead(200, JSON_TYPE).end(JSON.stringify(answer));
    } else response.writeHead(200, JSON_TYPE).end(ANSWER);
  });
  const { url } = await inFrontOf(port, {}, { hooks: { authenticate: "shop", subscribe: "shop" } });
  const stranger = await open(url);
  expect(valueAs(await stranger.connect({ token: "x" }), "error").code).toBe("WHO");
  expect((await stranger.closed()).code).toBe(3500);
  const ada = await open(url);
  const connected = valueAs(await ada.connect({ token: "let me in" }), "connected");
  expect(connected.userId).toBe("ada");
  const ack = valueAs(await ada.subscribe("news", "secret"), "subscribeAck");
  expect(ack.subscriptions.map(({ error }) => error?.code)).toEqual([undefined, "NOT_YOURS"]);
  expect(await rpc(ada)).toBe("hello");
  const caller = { session_id: connected.sessionId, user_id: "ada", client_id: "test" };
  expect(hooks.slice(-3).map(([hook, body]) => [hook, body["caller"]])).toEqual([
    ["subscribe_acl", caller],
    ["subscribe_acl", caller],
    ["rpc", caller],
  ]);
});

test("a program for the bodies of v0.1.1, and a file whose routes have the hooks, work unchanged", async () => {
  const bodies: Record<string, unknown>[] = [];
  const { port } = await backend(async (request, response) => {
    const body = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
    bodies.push(body);
    // Nothing tells hooks apart but what is in them, and answers have no type.
    if ("password" in body) {
      const user = { id: "ada", username: "Ada", token: "", client_type: "", client_id: "" };
      const no = { code: "AUTH_ERROR", type: "auth_error", message: "wrong token", metadata: null };
      const known = body["password"] === "let me in";
      response.end(JSON.stringify(known ? { user_info: user } : { error: no }));
    } else if ("method" in body) {
      const payload = { id: "r1", source: "svc", spec_version: "1.0", type: "user.got" };
      const no = {
        code: "USER_NOT_FOUND",
        type: "rpc_error",
        message: "nobody",
        metadata: { id: 7 },
      };
      const found = body["method"] === "GetUser";
      response.end(JSON.stringify({ id: body["id"], ...(found ? { payload } : { error: no }) }));
    } else response.writeHead(body["channel"] === "secret" ? 403 : 200).end("{}");
  });
  const { url } = await messageloop({
    hooks: { compatibility: "v0.1.1" },
    proxy: [
      {
        name: "original",
        endpoint: `http://127.0.0.1:${port}`,
        http: { payload: "v0.1.1" },
        routes: [{ channel: "*", method: "*" }],
      },
    ],
  });
  const stranger = await open(url);
  expect(valueAs(await stranger.connect({ token: "x" }), "error").message).toBe("wrong token");
  const ada = await open(url);
  expect(valueAs(await ada.connect({ token: "let me in" }), "connected").userId).toBe("ada");
  const ack = valueAs(await ada.subscribe("news", "secret"), "subscribeAck");
  expect(ack.subscriptions.map(({ error }) => error?.code)).toEqual([undefined, "ACL_ERROR"]);
  const reply = valueAs(await ada.rpc("GetUser", "", "user.service"), "rpcReply");
  expect([reply.id, reply.type]).toEqual(["r1", "user.got"]);
  const { code, type, message, metadata } = valueAs(await ada.rpc("Find"), "error");
  expect([code, type, message, metadata]).toEqual([
    "USER_NOT_FOUND",
    "rpc_error",
    "nobody",
    { id: 7 },
  ]);
  const keys = () => bodies.map((body) => Object.keys(body).toSorted().join());
  const told = () => keys().filter((names) => names.includes("session_id"));
  expect(keys().filter((names) => !names.includes("session_id"))).toEqual([
    "client_id,client_type,password,username",
    "client_id,client_type,password,username",
    "channel,token",
    "channel,token",
    "channel,id,method,payload",
    "channel,id,method,payload",
  ]);
  // What has happened is told beside them.
  await eventually(told, ({ length }) => length === 2);
  expect(told()).toEqual(["session_id,username", "channel,session_id,username"]);
});

test("who is authenticated is asked again where the answer was lost, and an RPC is not", async () => {
  const seen: string[] = [];
  const { port } = await backend(async (request, response) => {
    const hook = `${request.headers["messageloop-hook"]}`;
    seen.push(hook);
    await bodyOf(request);
    if (seen.filter((one) => one === hook).length === 1) request.socket.destroy();
    else response.writeHead(200, JSON_TYPE).end(JSON.stringify({ user_info: { id: "ada" } }));
  });
  const { url } = await inFrontOf(port, {}, { hooks: { authenticate: "shop" } });
  const asking = await open(url);
  expect(valueAs(await asking.connect(), "connected").userId).toBe("ada");
  expect(await rpc(asking)).toBe("PROXY_ERROR");
  expect(seen).toEqual(["authenticate", "authenticate", "rpc"]);
});

describe("addresses", () => {
  test("a name that leads to an address of the link is not connected to, whatever form it has", async () => {
    const { guardedLookup } = await import("../../src/server/backends/lookup.ts");
    const { AddressGuard } = await import("../../src/proxy/addresses.ts");
    const resolving = (...addresses: string[]) =>
      guardedLookup(new AddressGuard(), (_, __, callback) => {
        const found = addresses.map((address) => ({
          address,
          family: address.includes(":") ? 6 : 4,
        }));
        callback(null, found);
      });
    const one = (lookup: ReturnType<typeof resolving>, all: boolean) =>
      new Promise((resolve) => {
        lookup("backend.example", { all }, (error, address, family) => {
          resolve(error?.message ?? [address, family].filter((part) => part !== undefined));
        });
      });
    for (const bad of ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0"]) {
      for (const all of [true, false]) {
        expect(await one(resolving(bad), all)).toMatch(/^the host of the backend has /);
        // Of several only those are given that may be connected to.
        expect(await one(resolving(bad, "127.0.0.1"), all)).toEqual(
          all ? [[{ address: "127.0.0.1", family: 4 }]] : ["127.0.0.1", 4],
        );
      }
    }
  });

  test("the connection goes where the look-up says, and nowhere where it refuses", async () => {
    let asked = 0;
    const { port } = await backend((request, response) => {
      asked += 1;
      request.resume();
      response.writeHead(200, JSON_TYPE).end(ANSWER);
    });
    // This machine's own name, which is looked up.
    const { url } = await inFrontOf(port, { endpoint: `http://localhost:${port}/` });
    expect(await rpc(await client(url))).toBe("hello");
    expect(asked).toBe(1);
  });
});

describe("TLS", () => {
  const fixture = (name: string): string =>
    fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));

  async function secure(): Promise<number> {
    const [cert, key] = await Promise.all([
      readFile(fixture("cert.pem")),
      readFile(fixture("key.pem")),
    ]);
    const server = createHttps({ cert, key }, (request, response) => {
      request.resume();
      response.writeHead(200, JSON_TYPE).end(ANSWER);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stops.push(async () => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  test("a certificate that nobody has signed is refused, unless it is not looked at", async () => {
    const endpoint = `https://localhost:${await secure()}/`;
    const { url, warnings } = await inFrontOf(0, { endpoint });
    expect(await rpc(await client(url))).toBe("PROXY_ERROR");
    expect(JSON.stringify(warnings)).toContain("self-signed");
    const careless = await inFrontOf(0, {
      endpoint,
      http: { tls: { insecure_skip_verify: true } },
    });
    expect(careless.warnings.map(([message]) => message)).toEqual([
      "proxy: the certificate of shop is not checked",
    ]);
    expect(await rpc(await client(careless.url))).toBe("hello");
  });

  test("the certificate has to be for the host, or for the name that is set", async () => {
    const port = await secure();
    const folder = await mkdtemp(join(tmpdir(), "messageloop-backends-"));
    stops.push(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, "config.yaml");
    for (const [name, expected] of [
      ["localhost", "hello"],
      ["other.example", "PROXY_ERROR"],
    ]) {
      await writeFile(
        file,
        `proxy:
  - name: shop
    endpoint: https://127.0.0.1:${port}/
    http: { tls: { server_name: ${name} } }
    routes: [{ channel: "*", method: "*" }]
`,
      );
      // No program of one's own: the command and a file.
      const env = { NODE_EXTRA_CA_CERTS: fixture("cert.pem") };
      const server = await startServer(["--config", file], { env });
      try {
        expect(await rpc(await client(server.url)), name).toBe(expected);
        const metrics = await fetch(`http://127.0.0.1:${server.ports.http}/metrics`);
        const calls = parseMetrics(await metrics.text()).get("messageloop_backend_calls_total");
        const outcome = expected === "hello" ? "answered" : "unreachable";
        expect(calls?.samples.filter(({ value }) => value > 0)).toMatchObject([
          { labels: { backend: "shop", calls: "rpc", outcome }, value: 1 },
        ]);
      } finally {
        server.child.kill("SIGTERM");
        await server.ended;
      }
    }
  });
});
