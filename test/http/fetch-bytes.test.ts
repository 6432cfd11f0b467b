/** Documents of others: what a server may answer, and that nothing of it takes more time or memory than it may. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { fetchBytes } from "../../src/http/fetch-bytes.ts";

/** Time enough for what is not slow on a busy machine. */
const LIMITS = { maxBytes: 1_000, timeoutMs: 3_000 };
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
}

async function failure(url: string): Promise<string> {
  return await fetchBytes(url, LIMITS).then(
    (bytes) => `${bytes.length} bytes`,
    (error: unknown) => `${error}`,
  );
}

test("an answer within the limits is taken whole", async () => {
  const url = await serving((request, response) => {
    expect(request.headers["accept-encoding"]).toBe("identity");
    response.write("a".repeat(400));
    setTimeout(() => response.end("b".repeat(600)), 20);
  });
  const bytes = await fetchBytes(url, LIMITS);
  expect(new TextDecoder().decode(bytes)).toBe("a".repeat(400) + "b".repeat(600));
});

test("an empty answer is one", async () => {
  const url = await serving((_, response) => response.end());
  expect(await fetchBytes(url, LIMITS)).toHaveLength(0);
});

test.each([204, 301, 302, 307, 404, 500])(
  "an answer with the status %d is none",
  async (status) => {
    let elsewhere = 0;
    const other = await serving((_, response) => {
      elsewhere += 1;
      response.end("evil");
    });
    const url = await serving((_, response) => {
      response.writeHead(status, { Location: other }).end();
    });
    expect(await failure(url)).toBe(`Error: it answered ${status}`);
    expect(elsewhere).toBe(0);
  },
);

test("a longer answer is cut, whatever it says of its length, packed or not", async () => {
  let cut = 0;
  const endless = await serving((_, response) => {
    response.on("close", () => {
      cut += 1;
    });
    const timer = setInterval(() => response.write("x".repeat(500)), 1);
    response.on("close", () => clearInterval(timer));
  });
  const packed = await serving((_, response) => {
    response.writeHead(200, { "Content-Encoding": "gzip" });
    response.end(gzipSync("x".repeat(1_000_000)));
  });
  for (const url of [endless, packed]) {
    expect(await failure(url)).toContain("the body is longer than 1000 bytes");
  }
  await expect.poll(() => cut).toBe(1);
});

test("who is slow is left, before the answer and in the middle of it", async () => {
  let left = 0;
  const mute = await serving((request) => {
    request.socket.on("close", () => {
      left += 1;
    });
  });
  const slow = await serving((request, response) => {
    request.socket.on("close", () => {
      left += 1;
    });
    response.write("a");
  });
  const began = performance.now();
  const all = await Promise.all([failure(mute), failure(slow)]);
  expect(performance.now() - began).toBeLessThan(20_000);
  expect(all).toEqual(new Array(2).fill("Error: it took longer than 3000 ms"));
  await expect.poll(() => left).toBe(2);
});

test("an answer that breaks off is none, and a server that is not there is named", async () => {
  const broken = await serving((_, response) => {
    response.writeHead(200, { "Content-Length": "10" });
    response.write("a");
    setTimeout(() => response.destroy(), 20);
  });
  expect(await failure(broken)).toMatch(/^(Type)?Error: /);
  const gone = await serving(() => {});
  servers.at(-1)?.close();
  expect(await failure(gone)).toMatch(/ECONNREFUSED/);
});
