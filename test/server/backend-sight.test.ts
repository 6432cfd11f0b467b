/**
 * What clients see of backends over real sockets: a marker stands in every place of an answer that is not the field
 * `error`, and no frame and no close reason of any client has it. And requests that arrive are signed.
 */
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { ProxyService } from "../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { Client, KINDS, type Kind, kindOf, textOf, valueAs } from "../support/client.ts";
import {
  type Answer,
  binary,
  binaryRaw,
  MARKED_ANSWERS,
  MARKER,
  stated,
  WAYS,
} from "../support/marked-answers.ts";
import { serve } from "../support/proxy-service.ts";
import { documentedVerify } from "../support/verify-recipe.ts";

const stops: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

type Settings = Readonly<Record<string, unknown>>;

/** A server with this backend for everything; whether it is the authenticator as well is said by `hooks`. */
async function messageloop(backend: Settings, hooks: readonly string[]): Promise<string> {
  const any = { addr: "127.0.0.1:0" };
  const routes = [{ channel: "*", method: "*" }];
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: any, grpc: any },
      proxy: [{ name: "shop", routes, circuit_breaker: { failures: 1_000 }, ...backend }],
      hooks: Object.fromEntries(hooks.map((hook) => [hook, "shop"])),
    }),
    logger: { warn: () => {} },
  });
  const { websocket } = await server.start();
  stops.push(() => server.stop());
  return `ws://127.0.0.1:${websocket}/ws`;
}

async function open(url: string, kind: Kind): Promise<Client<WebSocket>> {
  const protocol = `messageloop+${kind.encoding}`;
  const client = new Client<WebSocket>(new WebSocket(url, [protocol]), kind);
  await once(client.socket, "open");
  return client;
}

/** All that a client of this kind is told at connect, by an RPC and by a subscription, as one text. */
async function told({ open: plain, guarded }: Urls, kind: Kind): Promise<string> {
  const refused = await open(guarded, kind);
  await refused.connect({ token: "t" });
  const client = await open(plain, kind);
  expect(kindOf(await client.connect())).toBe("connected");
  await client.rpc("get", "", "shop.a");
  await client.subscribe("room");
  const frames = [...refused.frames, ...client.frames].map((frame) =>
    typeof frame === "string" ? frame : Buffer.from(frame).toString("latin1"),
  );
  const reasons: string[] = [];
  for (const one of [refused, client]) {
    one.socket.close();
    reasons.push((await one.closed()).reason);
  }
  return [...frames, ...reasons].join("\n");
}

interface Urls {
  /** Where the backend is the authenticator. */
  readonly guarded: string;
  /** Where it authorizes and answers RPCs. */
  readonly open: string;
}

async function urlsOf(backend: Settings): Promise<Urls> {
  return {
    guarded: await messageloop(backend, ["authenticate"]),
    open: await messageloop(backend, ["subscribe"]),
  };
}

test.each(Object.entries(WAYS))("%s: nothing of a backend reaches a client", async (_, way) => {
  let answer: Answer = () => {};
  const listener: RequestListener = async (request, response) => {
    for await (const _chunk of request);
    answer(response, request);
  };
  const { port, stop } = await serve(listener);
  stops.push(stop);
  const urls = await urlsOf({ endpoint: `http://127.0.0.1:${port}/hooks`, ...way });
  for (const [place, one] of Object.entries(MARKED_ANSWERS)) {
    answer = one;
    for (const seen of await Promise.all(KINDS.map((kind) => told(urls, kind)))) {
      expect(seen, place).not.toContain(MARKER);
      expect(seen, place).not.toContain(`127.0.0.1:${port}`);
    }
  }
  // The same test sees what is meant to be seen.
  if (way["connect"] !== undefined) return;
  answer = stated;
  for (const seen of await Promise.all(KINDS.map((kind) => told(urls, kind)))) {
    expect(seen).toContain(MARKER);
  }
});

test("a backend that is asked with CloudEvents may answer in the binary mode", async () => {
  let answer: Answer = binary;
  const { port, stop } = await serve(async (request, response) => {
    for await (const _chunk of request);
    answer(response, request);
  });
  stops.push(stop);
  const settings = { endpoint: `http://127.0.0.1:${port}/hooks`, ...WAYS["cloudevents"] };
  const client = await open(await messageloop(settings, []), { encoding: "json", extended: true });
  await client.connect();
  for (answer of [binary, binaryRaw]) {
    const event = valueAs(await client.rpc("get", "", "shop.a"), "rpcReply");
    expect([event.id, event.source, event.type]).toEqual(["a1", "/orders", "order"]);
    expect(event.attributes["subject"]?.attr.value).toBe("café, 100%");
    expect(textOf(event)).toBe('{"total":3}');
  }
  // Headers and body have one bound together.
  const url = await messageloop({ ...settings, response_bytes: 1_024 }, []);
  const narrow = await open(url, { encoding: "json", extended: true });
  await narrow.connect();
  for (const [length, kind] of [
    [800, "rpcReply"],
    [1_000, "error PROXY_ERROR"],
  ] as const) {
    const attributes = { "ce-specversion": "1.0", "ce-id": "a", "ce-source": "/", "ce-type": "t" };
    answer = (response) =>
      response
        .writeHead(200, { ...attributes, "content-type": "text/plain" })
        .end("x".repeat(length));
    expect(kindOf(await narrow.rpc("get", "", "shop.a"))).toBe(kind);
  }
});

test("gRPC: nothing of a backend reaches a client", async () => {
  let code = Code.Unknown;
  const fail = () => {
    const error = new ConnectError(MARKER, code, { "x-secret": MARKER });
    error.details.push({ type: MARKER, value: Buffer.from(MARKER) });
    throw error;
  };
  const routes = (router: ConnectRouter) => {
    router.service(ProxyService, { rPC: fail, authenticate: fail, subscribeAcl: fail });
  };
  const server = createHttp2(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(async () => server.close());
  const { port } = server.address() as AddressInfo;
  const urls = await urlsOf({ endpoint: `127.0.0.1:${port}`, grpc: { insecure: true } });
  for (code of [Code.Unknown, Code.Internal, Code.PermissionDenied, Code.Unavailable]) {
    for (const seen of await Promise.all(KINDS.map((kind) => told(urls, kind)))) {
      expect(seen, Code[code]).not.toContain(MARKER);
      expect(seen, Code[code]).not.toContain(`127.0.0.1:${port}`);
    }
  }
});

test("requests that arrive are signed, as the recipe of the documentation finds", async () => {
  const verify = await documentedVerify();
  const secrets = ["a new secret of thirty-two bytes!", "an old secret of thirty-two bytes"];
  const seen: { hook: unknown; good: boolean[] }[] = [];
  const { port, stop } = await serve(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    const body = Buffer.concat(chunks);
    const good = (path: string, bytes: Uint8Array, secret: string) =>
      verify({ method, path, headers, body: bytes }, [secret]);
    seen.push({
      hook: headers["messageloop-hook"],
      good: [
        ...secrets.map((secret) => good(url, body, secret)),
        good(url, body, "another secret of thirty-two bytes"),
        good(`${url}0`, body, secrets[0] ?? ""),
        good(url, Buffer.concat([body, Buffer.from(" ")]), secrets[0] ?? ""),
      ],
    });
    response.writeHead(500).end();
  });
  stops.push(stop);
  for (const way of Object.values(WAYS)) {
    seen.splice(0);
    const query = way["connect"] === undefined ? "?tenant=1&b=%2F" : "";
    const endpoint = `http://127.0.0.1:${port}/ho%20oks/${query}`;
    const urls = await urlsOf({ endpoint, signing_secrets: secrets, ...way });
    await told(urls, { encoding: "json", extended: true });
    expect(seen.map(({ hook }) => hook)).toEqual(["authenticate", "rpc", "subscribe_acl"]);
    for (const { good } of seen) expect(good).toEqual([true, true, false, false, false]);
  }
});
