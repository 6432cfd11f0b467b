/** Requests that ask for another protocol: taken, refused without harm, or served as if they had not. */
import { readdir } from "node:fs/promises";
import { createServer as createHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { serveWithoutUpgrade } from "../../src/server/transport/upgrades.ts";
import { Client, kindOf } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { ownTime } from "../support/own-time.ts";
import { type CliServer, startServer } from "./process.ts";
import { dialRaw, firstLine, UPGRADE } from "./raw.ts";

let server: CliServer;
let witness: Client<WebSocket>;

beforeAll(async () => {
  server = await startServer();
  const socket = new WebSocket(server.url, ["messageloop+json"]);
  witness = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await new Promise((resolve) => socket.on("open", resolve));
  expect(kindOf(await witness.connect())).toBe("connected");
});

afterAll(async () => {
  witness?.socket.terminate();
  server?.child.kill("SIGTERM");
  expect((await server?.ended)?.code).toBe(0);
});

const HOST = "Host: a.test\r\n";
const REFUSED: readonly (readonly [what: string, request: string])[] = [
  ["an unknown path", `GET /nope HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`],
  ["a version of long ago", `GET /ws HTTP/1.1\r\n${HOST}${UPGRADE.replace("13", "12")}\r\n`],
  ["a foreign origin", `GET /ws HTTP/1.1\r\n${HOST}Origin: https://evil.test\r\n${UPGRADE}\r\n`],
  ["another method", `PUT /ws HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`],
  [
    "a list of subprotocols that is none",
    `GET /ws HTTP/1.1\r\n${HOST}${UPGRADE}Sec-WebSocket-Protocol: ,,\r\n\r\n`,
  ],
];

test.each(REFUSED)("a refused upgrade with %s that is reset ends nothing", async (_, request) => {
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      const socket = dialRaw(server.ports.websocket, request);
      socket.once("data", () => {
        socket.write("more bytes");
        socket.resetAndDestroy();
      });
      socket.once("close", () => resolve());
    });
  }
  expect(kindOf(await witness.ping())).toBe("pong");
  expect(server.child.exitCode).toBeNull();
});

test("refused upgrades whose clients stay give their descriptors back", async () => {
  const descriptors = async () => (await readdir(`/proc/${server.child.pid}/fd`)).length;
  const before = await descriptors();
  for (let i = 0; i < 100; i++) {
    dialRaw(server.ports.websocket, REFUSED[i % REFUSED.length]?.[1] ?? "").resume();
  }
  await eventually(descriptors, (count) => count > before + 50);
  const time = ownTime();
  await eventually(descriptors, (count) => count < before + 5, 30_000);
  time.stop();
  expect(time.ms()).toBeLessThan(10_000);
});

test.each([
  [
    "Upgrade: h2c",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
  ],
  ["Upgrade: TLS/1.2", "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"],
])("with %s a request is answered as without", async (_, headers) => {
  const port = server.ports.websocket;
  for (const request of [
    `GET / HTTP/1.1\r\n${HOST}`,
    `GET /nope HTTP/1.1\r\n${HOST}`,
    `GET /ws HTTP/1.1\r\n${HOST}`,
    `POST /messageloop.v1.MessagingService/MessageLoop HTTP/1.1\r\n${HOST}` +
      "Content-Type: application/connect+json\r\nContent-Length: 0\r\n",
  ]) {
    const plain = await firstLine(port, `${request}\r\n`);
    expect(await firstLine(port, `${request}${headers}\r\n`)).toBe(plain);
  }
});

test("an older Node, which cannot ask first, serves such a request all the same", async () => {
  const old = createHttp((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => response.end(`${request.method} ${request.url} ${body}`));
  });
  old.on("upgrade", (request, socket, head) => serveWithoutUpgrade(old, request, socket, head));
  await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    old.close();
  });
  const url = `http://127.0.0.1:${(old.address() as AddressInfo).port}/a?b`;
  for (const body of ["", "x".repeat(200_000)]) {
    const socket = dialRaw(
      (old.address() as AddressInfo).port,
      `POST /a?b HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    await new Promise((resolve) => socket.once("end", resolve));
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(text).toContain(`POST /a?b ${body}`);
  }
  expect(await (await fetch(url, { method: "POST", body: "plain" })).text()).toBe(
    "POST /a?b plain",
  );
});

test.each([
  ["app.test", "https://app.test", 101],
  ["app.test:443", "https://app.test", 101],
  ["app.test", "https://app.test:443", 101],
  ["app.test:80", "http://app.test", 101],
  ["APP.test", "https://app.TEST", 101],
  ["[::1]:9080", "http://[::1]:9080", 101],
  ["app.test:8443", "https://app.test", 403],
  ["app.test:80", "https://app.test", 403],
  ["app.test:443", "http://app.test", 403],
  ["app.test", "https://evil.test", 403],
  ["good@evil.test", "https://evil.test", 403],
  ["evil.test/app.test", "https://evil.test", 403],
  ["app.test", "null", 403],
])("to the host %s, from a page of %s: %i", async (host, origin, status) => {
  const request = `GET /ws HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\n${UPGRADE}\r\n`;
  expect(await firstLine(server.ports.websocket, request)).toContain(` ${status} `);
});

test.each([
  ["a target with a scheme and a host", "GET http://a.test/ws", "", 101],
  ["such a target without a path", "GET http://a.test", "", 404],
  [
    "a host in the target that is not that of the page",
    "GET http://a.test/ws",
    "Origin: http://b.test\r\n",
    403,
  ],
  [
    "a host in the target that is that of the page",
    "GET http://b.test/ws",
    "Origin: http://b.test\r\n",
    101,
  ],
  ["a query", "GET /ws?x=1", "", 101],
  ["a path in percent encoding", "GET /%77s", "", 101],
  ["a path in percent encoding that is none", "GET /%7", "", 404],
])("%s", async (_, line, headers, status) => {
  const request = `${line} HTTP/1.1\r\n${HOST}${UPGRADE}${headers}\r\n`;
  expect(await firstLine(server.ports.websocket, request)).toContain(` ${status} `);
});

test("an ordinary request may name the server's host in its target", async () => {
  const port = server.ports.websocket;
  const plain = await firstLine(port, `GET / HTTP/1.1\r\n${HOST}\r\n`);
  expect(await firstLine(port, `GET http://a.test/ HTTP/1.1\r\n${HOST}\r\n`)).toBe(plain);
});

test("WebSocket may stand among several protocols", async () => {
  const request = `GET /ws HTTP/1.1\r\n${HOST}${UPGRADE.replace("websocket", "h2c, websocket")}\r\n`;
  expect(await firstLine(server.ports.websocket, request)).toContain(" 101 ");
});
