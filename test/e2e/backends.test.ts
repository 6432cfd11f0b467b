/** Backends of the Worker as it is deployed, by settings alone: over HTTP, and hostile ones. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, kindOf, textOf, valueAs } from "../support/client.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { pour, type RunningBackend, serve } from "../support/proxy-service.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

const SECRET = "stack of 10.1.2.3";
const JSON_TYPE = { "content-type": "application/json" };
const MEBIBYTE = 1_048_576;
/** Takes some kilobytes, and would be 20 MiB. */
const BOMB = gzipSync(`"${"x".repeat(20 * MEBIBYTE)}"`);

let backend: RunningBackend;
let server: RunningServer;
const cut: string[] = [];

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
    const asked = JSON.parse(body);
    if (hook === "authenticate") {
      const answer =
        asked.password === "let me in"
          ? { user_info: { id: "ada" } }
          : { error: { code: "WHO", message: "?" } };
      response.writeHead(200, JSON_TYPE).end(JSON.stringify(answer));
      return;
    }
    const text = `${asked.payload.text_data}`;
    response.once("close", () => {
      if (!response.writableFinished) cut.push(text);
    });
    await answers[text]?.(request, response);
  });
  server = await startWorkerd({
    vars: {
      messageloop: {
        server: { rpc_timeout: "1s" },
        proxy: [
          {
            name: "shop",
            endpoint: `http://127.0.0.1:${backend.port}/hooks`,
            routes: [{ channel: "shop.*", method: "*" }],
          },
        ],
        hooks: { authenticate: "shop" },
      },
    },
  });
});

afterAll(async () => {
  await server?.stop();
  await backend?.stop();
});

async function open(token: string): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, ["messageloop+json"]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
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
  const asking = await open("let me in");
  const began = Date.now();
  expect(await rpc(asking, "hang")).toBe("RPC_TIMEOUT");
  expect(Date.now() - began).toBeLessThan(5_000);
  await eventually(
    async () => cut.filter((text) => text === "hang").length,
    (count) => count === 1,
  );
  asking.rpc("get", "hang too", "shop.a").catch(() => {});
  await asking.ping();
  await sleep(100);
  asking.socket.terminate();
  await eventually(
    async () => cut.filter((text) => text === "hang too").length,
    (count) => count === 1,
  );
});
