/** Names that a server goes by: a foreign name that leads to it is refused, whatever the Origin says. */
import { expect, onTestFinished, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { firstLine, UPGRADE } from "./raw.ts";

const allowed_hosts = ["app.example", "Other.example:8443", "[::1]"];
const REBOUND = ["evil.test", "http://evil.test"] as const;

/** Host, Origin, and whether the handshake is taken. */
const HANDSHAKES: readonly (readonly [host: string, origin: string | undefined, taken: boolean])[] =
  [
    ["app.example", "https://app.example", true],
    ["app.example:9080", "http://app.example:9080", true],
    ["APP.example:443", "https://app.example", true],
    ["other.example:8443", "https://other.example:8443", true],
    ["[::1]:9080", "http://[::1]:9080", true],
    ["app.example", undefined, true],
    ["app.example", "https://evil.test", false],
    [...REBOUND, false],
    ["evil.test", undefined, false],
    ["other.example", "https://other.example", false],
    ["app.example.evil.test", "https://app.example.evil.test", false],
    ["", undefined, false],
  ];

async function selfHosted(hosts: readonly string[]) {
  const listener = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: listener },
      transport: { websocket: { ...listener, allowed_hosts: hosts }, grpc: listener },
    }),
  });
  const { websocket } = await server.start();
  onTestFinished(() => server.stop());
  return async (host: string, origin: string | undefined): Promise<number> => {
    const from = origin === undefined ? "" : `Origin: ${origin}\r\n`;
    const request = `GET /ws HTTP/1.1\r\nHost: ${host}\r\n${from}${UPGRADE}\r\n`;
    return Number((await firstLine(websocket, request)).split(" ")[1]);
  };
}

async function worker(hosts: readonly string[]) {
  const vars = { messageloop: { transport: { websocket: { allowed_hosts: hosts } } } };
  const app = createApp({
    handshake: settingsOf(vars),
    connect: async () => new Response("taken"),
  });
  return async (host: string, origin: string | undefined): Promise<number> => {
    const lines = UPGRADE.trim().split("\r\n");
    const headers = new Headers(lines.map((line) => line.split(": ") as [string, string]));
    headers.set("Host", host);
    if (origin !== undefined) headers.set("Origin", origin);
    const { status } = await app.request("http://localhost/ws", { headers });
    return status === 200 ? 101 : status;
  };
}

test.each([
  ["self-hosted", selfHosted],
  ["Workers", worker],
])("%s: with names of its own a server takes no other", async (_, start) => {
  const shake = await start(allowed_hosts);
  for (const [host, origin, taken] of HANDSHAKES) {
    expect([host, origin, await shake(host, origin)]).toEqual([host, origin, taken ? 101 : 403]);
  }
  const open = await start([]);
  expect(await open(...REBOUND)).toBe(101);
});

test.each(["https://app.example", "app.example/", "*", "a b", "app.example:x", ""])(
  "%j is no host",
  (host) => {
    const transport = { websocket: { allowed_hosts: [host] } };
    const problem = "transport.websocket.allowed_hosts.0: must be a host such as";
    expect(() => parseConfig({ transport })).toThrow(problem);
    expect(() => settingsOf({ messageloop: { transport } })).toThrow(problem);
  },
);
