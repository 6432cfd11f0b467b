/** Backends of the Worker as it is deployed, by settings alone: over HTTP, and hostile ones. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, KINDS, type Kind, kindOf, textOf, valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import {
  type Answer,
  binary,
  binaryRaw,
  JSON_TYPE,
  MARKED_ANSWERS,
  MARKER,
  stated,
  WAYS,
} from "../support/marked-answers.ts";
import { pour, type RunningBackend, serve } from "../support/proxy-service.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const SECRET = "stack of 10.1.2.3";
const EXTENDED: Kind = { encoding: "json", extended: true };
const MEBIBYTE = 1_048_576;
/** Takes some kilobytes, and would be 20 MiB. */
const BOMB = gzipSync(`"${"x".repeat(20 * MEBIBYTE)}"`);

/** What the backend answers to whatever a test of marked answers asks. */
let marked: Answer = () => {};
let backend: RunningBackend;
let server: RunningServer;
/** Texts of the calls that have arrived, and of those that were cut off. */
const [arrived, cut]: [string[], string[]] = [[], []];

/** What the backend does, by the text that it is sent. */
const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
  fine: (_, response) => {
    const payload = { id: "a", source: "/b", type: "t", text_data: "hello" };
    response.writeHead(200, JSON_TYPE).end(JSON.stringify({ payload }));
  },
  "status 500": (_, response) => response.writeHead(500).end(SECRET),
  "a redirect": (_, response) => response.writeHead(302, { location: "/fine" }).end(SECRET),
  "another type": (_, response) =>
    response.writeHead(200, { "content-type": "text/html" }).end(SECRET),
  "no JSON": (_, response) => response.writeHead(200, JSON_TYPE).end(SECRET),
  "10 MiB with a length": (_, response) =>
    response.writeHead(200, JSON_TYPE).end(`"${"x".repeat(10 * MEBIBYTE)}"`),
  "10 MiB in chunks": async (_, response) => {
    response.writeHead(200, JSON_TYPE);
    await pour(response, "x".repeat(65_536), 160);
  },
  "compressed, and growing": (_, response) =>
    response.writeHead(200, { ...JSON_TYPE, "content-encoding": "gzip" }).end(BOMB),
  "a crash": (request) => request.socket.destroy(),
};

beforeAll(async () => {
  backend = await serve(async (request, response) => {
    const hook = `${request.headers["messageloop-hook"]}`;
    let body = "";
    for await (const chunk of request) body += chunk;
    if (request.url?.startsWith("/marked") === true) return marked(response, request);
    const asked = JSON.parse(body);
    if (asked.password === MARKER || `${asked.channel}`.startsWith("marked."))
      return marked(response, request);
    if (hook === "subscribe_acl") {
      response.writeHead(200, JSON_TYPE).end("{}");
      return;
    }
    if (hook === "authenticate") {
      const answer =
        asked.password === "let me in"
          ? { user_info: { id: "ada" } }
          : { error: { code: "WHO", message: "?" } };
      response.writeHead(200, JSON_TYPE).end(JSON.stringify(answer));
      return;
    }
    const text = `${asked.payload.text_data}`;
    arrived.push(text);
    response.once("close", () => {
      if (!response.writableFinished) cut.push(text);
    });
    await answers[text]?.(request, response);
  });
  server = await startWorkerd({
    vars: {
      messageloop: {
        server: { rpc_timeout: "4s" },
        proxy: [
          {
            name: "shop",
            endpoint: `http://127.0.0.1:${backend.port}/hooks`,
            routes: [{ channel: "shop.*", method: "*" }],
            circuit_breaker: { failures: 1_000 },
          },
          ...Object.entries(WAYS).map(([name, way]) => ({
            name,
            endpoint: `http://127.0.0.1:${backend.port}/marked/`,
            routes: [{ channel: `marked-${name}`, method: "*" }],
            circuit_breaker: { failures: 1_000 },
            ...way,
          })),
          {
            // Where nobody listens.
            name: "away",
            endpoint: "http://127.0.0.1:1/",
            routes: [{ channel: "marked-away", method: "*" }],
            circuit_breaker: { failures: 1_000 },
          },
        ],
        hooks: { authenticate: "shop", subscribe: "shop" },
      },
    },
  });
});

afterAll(async () => {
  await server?.stop();
  await backend?.stop();
});

async function open(token: string, kind = EXTENDED): Promise<Client<WebSocket>> {
  const url = `${server.url.replace("http", "ws")}/ws`;
  const client = new Client<WebSocket>(new WebSocket(url, [`messageloop+${kind.encoding}`]), kind);
  const { socket } = client;
  await once(socket, "open");
  await client.connect({ token });
  return client;
}

async function rpc(from: Client<WebSocket>, text: string): Promise<string> {
  const { envelope } = await from.rpc("get", text, "shop.a");
  if (envelope.case === "error") return envelope.value.code;
  return textOf(envelope.case === "rpcReply" ? envelope.value : undefined);
}

test("the backend says who somebody is, and answers what it has a route for", async () => {
  const stranger = await open("x");
  expect(kindOf(stranger.replies[0] as never)).toBe("error WHO");
  const ada = await open("let me in");
  expect(valueAs(ada.replies[0] as never, "connected").userId).toBe("ada");
  expect(await rpc(ada, "fine")).toBe("hello");
  expect(kindOf(await ada.rpc("get", "fine", "elsewhere"))).toBe("error UNIMPLEMENTED");
  ada.socket.close();
});

test.each(Object.keys(answers).filter((text) => text !== "fine"))(
  "%s is PROXY_ERROR, and nothing of it reaches a client",
  async (text) => {
    const [asking, other] = [await open("let me in"), await open("let me in")];
    const failing = rpc(asking, text);
    expect(await rpc(other, "fine")).toBe("hello");
    expect(await failing).toBe("PROXY_ERROR");
    expect(await rpc(asking, "fine")).toBe("hello");
    expect(asking.frames.filter((frame) => `${frame}`.includes("10.1.2.3"))).toEqual([]);
    for (const one of [asking, other]) one.socket.close();
  },
);

test("a backend that hangs is late, and who leaves is not waited for", async () => {
  for (const texts of [arrived, cut]) texts.length = 0;
  const asking = await open("let me in");
  const began = Date.now();
  expect(await rpc(asking, "hang")).toBe("RPC_TIMEOUT");
  expect(Date.now() - began).toBeLessThan(20_000);
  await eventually(
    async () => cut.filter((text) => text === "hang").length,
    (count) => count === 1,
  );
  asking.rpc("get", "hang too", "shop.a").catch(() => {});
  await eventually(() => arrived.includes("hang too"));
  asking.socket.terminate();
  await eventually(
    async () => cut.filter((text) => text === "hang too").length,
    (count) => count === 1,
  );
});

/** All that a client of this kind is told at connect, by RPCs in every way, and by a subscription, as one text. */
async function told(kind: Kind): Promise<string> {
  const refused = await open(MARKER, kind);
  const client = await open("let me in", kind);
  expect(kindOf(client.replies[0] as never)).toBe("connected");
  for (const way of [...Object.keys(WAYS), "away"]) await client.rpc("get", "", `marked-${way}`);
  await client.subscribe("marked.room");
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

test("nothing of a backend reaches a client but what it states", async () => {
  for (const [place, answer] of Object.entries(MARKED_ANSWERS)) {
    marked = answer;
    for (const seen of await Promise.all(KINDS.map(told))) {
      expect(seen, place).not.toContain(MARKER);
      expect(seen, place).not.toContain("127.0.0.1");
    }
  }
  // The same test sees what is meant to be seen.
  marked = stated;
  for (const seen of await Promise.all(KINDS.map(told))) expect(seen).toContain(MARKER);
});

test("a backend that is asked with CloudEvents may answer in the binary mode", async () => {
  const client = await open("let me in");
  for (const answer of [binary, binaryRaw]) {
    marked = answer;
    const event = valueAs(await client.rpc("get", "", "marked-cloudevents"), "rpcReply");
    expect([event.id, event.source, event.type]).toEqual(["a1", "/orders", "order"]);
    expect(event.attributes["subject"]?.attr.value).toBe("café, 100%");
    expect(textOf(event)).toBe('{"total":3}');
  }
  client.socket.close();
});
