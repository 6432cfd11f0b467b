/**
 * A program that was written for v0.1.1's HTTP backends, unchanged, with the configuration that it had there: one
 * route for everything. It tells requests apart by their keys alone, decodes them strictly, and answers as Go's
 * encoder and a handler that sets no header do.
 */
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import { Client, KINDS, type Kind, kindOf, textOf, valueAs } from "../support/client.ts";
import { type RunningBackend, serve } from "../support/proxy-service.ts";

/** What such a handler says where it says nothing. */
const PLAIN = "text/plain; charset=utf-8";

/** The keys of all requests that v0.1.1 made; the last two tell of sessions. */
const KNOWN: ReadonlySet<string> = new Set([
  "client_id,client_type,password,username",
  "channel,token",
  "channel,id,method,payload",
  "session_id,username",
  "channel,session_id,username",
]);

type Body = Readonly<Record<string, unknown>>;

/** The event of a request as Go's struct has it. */
interface Payload {
  readonly id?: string;
  readonly type?: string;
  readonly attributes?: Readonly<Record<string, { Attr: { CeString?: string } }>>;
  readonly Data: { readonly BinaryData: string };
}

let program: RunningBackend;
let server: Server;
let url: string;
const asked: string[] = [];

/** Status and body. A request that it does not know by its keys is none of v0.1.1. */
function answer(body: Body): [status: number, body: string] {
  const keys = Object.keys(body).join();
  asked.push(keys);
  switch (keys) {
    case "client_id,client_type,password,username": {
      if (body["password"] === "down") return [502, "<html>bad gateway</html>"];
      if (body["password"] !== "let me in") {
        return [200, '{"error":{"code":"AUTH_ERROR","type":"auth_error","message":"wrong token"}}'];
      }
      const id = `user of ${body["username"]}`;
      return [200, JSON.stringify({ error: null, user_info: { id, username: id, token: "" } })];
    }
    case "channel,token":
      return body["channel"] === "secret" ? [403, "Forbidden\n"] : [200, "{}\n"];
    case "channel,id,method,payload":
      return [200, reply(body["id"], body["method"], body["payload"] as Payload)];
    default:
      return KNOWN.has(keys) ? [200, "{}\n"] : [400, `unknown: ${keys}`];
  }
}

function reply(id: unknown, method: unknown, payload: Payload): string {
  const text = Buffer.from(payload.Data.BinaryData, "base64").toString();
  switch (method) {
    case "refuse":
      return `{"id":"${id}","error":{"code":"NOT_FOUND","type":"user","message":"no such user","metadata":{"id":"12345"}}}`;
    case "empty":
      return `{"id":"${id}"}`;
    case "struct":
      return JSON.stringify({ id, payload });
    default: {
      const said = { text, type: payload.type, attributes: payload.attributes };
      const text_data = JSON.stringify(said);
      return JSON.stringify({ Id: id, Payload: { id: "a", source: "/s", type: "t", text_data } });
    }
  }
}

beforeAll(async () => {
  program = await serve(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const [status, text] = answer(JSON.parse(body));
    response.writeHead(status, { "content-type": PLAIN }).end(text);
  });
  const any = { addr: "127.0.0.1:0" };
  const proxy = {
    name: "program",
    endpoint: `http://127.0.0.1:${program.port}/`,
    http: { payload: "v0.1.1" },
    routes: [{ channel: "*", method: "*" }],
  };
  server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: any, grpc: any },
      proxy: [proxy],
      hooks: { compatibility: "v0.1.1" },
    }),
    logger: { warn: () => {} },
  });
  url = `ws://127.0.0.1:${(await server.start()).websocket}/ws`;
});

afterAll(async () => {
  await server.stop();
  await program.stop();
});

async function open(kind: Kind): Promise<Client<WebSocket>> {
  const socket = new WebSocket(url, [`messageloop+${kind.encoding}`]);
  const client = new Client<WebSocket>(socket, kind);
  await once(socket, "open");
  return client;
}

test.each(KINDS)(
  "it authenticates, authorizes and answers $encoding, extended $extended",
  async (kind) => {
    const stranger = await open(kind);
    const refused = valueAs(await stranger.connect({ token: "wrong" }), "error");
    expect([refused.code, refused.type, refused.message]).toEqual([
      "AUTH_ERROR",
      "auth_error",
      "wrong token",
    ]);
    expect((await stranger.closed()).code).toBe(3500);
    const unlucky = await open(kind);
    const { code } = valueAs(await unlucky.connect({ token: "down" }), "error");
    expect(code).toBe(kind.extended ? "UNAVAILABLE" : "AUTH_ERROR");

    const client = await open(kind);
    const connected = await client.connect({ token: "let me in", clientId: "c1" });
    expect(valueAs(connected, "connected").userId).toBe(kind.extended ? "user of c1" : "");
    expect(kindOf(await client.subscribe({ channel: "room", token: "t" }))).toBe("subscribeAck");
    const said = JSON.parse(textOf(valueAs(await client.rpc("get", "h\u00e4"), "rpcReply")));
    expect(said).toEqual({
      text: "h\u00e4",
      type: "t",
      attributes: { datacontenttype: { Attr: { CeString: "text/plain" } } },
    });
    const missing = valueAs(await client.rpc("refuse"), "error");
    expect([missing.code, missing.type, missing.message, missing.metadata]).toEqual([
      "NOT_FOUND",
      "user",
      "no such user",
      { id: "12345" },
    ]);
    expect(textOf(valueAs(await client.rpc("empty"), "rpcReply"))).toBe("");
    // What v0.1.1 could not read is a failure here as well.
    expect(valueAs(await client.rpc("struct", "x"), "error").code).toBe("PROXY_ERROR");

    const denied = await client.subscribe({ channel: "secret", token: "t" });
    if (kind.extended) {
      const [entry] = valueAs(denied, "subscribeAck").subscriptions;
      expect(entry?.error?.code).toBe("ACL_ERROR");
      client.socket.close();
    } else {
      expect(kindOf(denied)).toBe("error ACL_ERROR");
      expect((await client.closed()).code).toBe(3500);
    }
    // Nothing came that it does not know.
    expect(asked.filter((keys) => !KNOWN.has(keys))).toEqual([]);
  },
);
