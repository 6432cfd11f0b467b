/** Where a client comes from: one form of address, and whose word counts. */
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { plainAddress, TrustedProxies } from "../../src/server/transport/client-address.ts";
import { Client, kindOf } from "../support/client.ts";
import { ConnectClient, GrpcClient } from "../support/stream-client.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["192.0.2.1:4711", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
  ["[::ffff:192.0.2.1]:4711", "192.0.2.1"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["[2001:db8::1]:443", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  [" 192.0.2.1 ", "192.0.2.1"],
  ["", undefined],
  ["unknown", undefined],
  ["_hidden", undefined],
  ["192.0.2.256", undefined],
  ["192.0.2.1, 192.0.2.2", undefined],
  ["[192.0.2.1", undefined],
])("%j is %j", (text, address) => {
  expect(plainAddress(text)).toBe(address);
});

const PROXIES = new TrustedProxies(["10.0.0.0/8", "192.0.2.7", "fd00::/8"]);

test.each<readonly [string, string, Record<string, string>, string]>([
  ["nobody between", "203.0.113.5", {}, "203.0.113.5"],
  [
    "a stranger that claims to be a proxy",
    "203.0.113.5",
    { "x-forwarded-for": "198.51.100.1" },
    "203.0.113.5",
  ],
  ["one proxy", "10.0.0.1", { "x-forwarded-for": "198.51.100.1" }, "198.51.100.1"],
  [
    "one proxy by a socket for both families",
    "::ffff:10.0.0.1",
    { "x-forwarded-for": "198.51.100.1" },
    "198.51.100.1",
  ],
  [
    "a client that wrote something first",
    "10.0.0.1",
    { "x-forwarded-for": "127.0.0.1, 198.51.100.1" },
    "198.51.100.1",
  ],
  [
    "two proxies",
    "10.0.0.1",
    { "x-forwarded-for": "1.1.1.1, 198.51.100.1:99, 192.0.2.7" },
    "198.51.100.1",
  ],
  ["proxies alone", "10.0.0.1", { "x-forwarded-for": "10.2.0.1, 10.3.0.1" }, "10.2.0.1"],
  ["a proxy that says nothing", "10.0.0.1", {}, "10.0.0.1"],
  ["a proxy that hides it", "10.0.0.1", { "x-forwarded-for": "198.51.100.1, unknown" }, "10.0.0.1"],
  [
    "something unreadable before a proxy",
    "10.0.0.1",
    { "x-forwarded-for": "198.51.100.1, ???, 10.9.9.9" },
    "10.9.9.9",
  ],
  [
    "Forwarded",
    "fd00::1",
    { forwarded: 'For="[2001:db8::1]:4711";proto=https, for=10.0.0.2' },
    "2001:db8::1",
  ],
  [
    "Forwarded with more than for",
    "10.0.0.1",
    { forwarded: "proto=http;by=10.0.0.1;for=198.51.100.1" },
    "198.51.100.1",
  ],
  ["Forwarded without for", "10.0.0.1", { forwarded: "for=198.51.100.1, proto=http" }, "10.0.0.1"],
  [
    "both headers that agree",
    "10.0.0.1",
    { "x-forwarded-for": "198.51.100.1", forwarded: "for=198.51.100.1" },
    "198.51.100.1",
  ],
  [
    "both headers that differ",
    "10.0.0.1",
    { "x-forwarded-for": "127.0.0.1", forwarded: "for=198.51.100.1" },
    "10.0.0.1",
  ],
  ["an empty header", "10.0.0.1", { "x-forwarded-for": "" }, "10.0.0.1"],
])("%s", (_, peer, headers, address) => {
  expect(PROXIES.clientOf(peer, headers)).toBe(address);
});

test("without a proxy nobody's word counts, and a connection without an address has none", () => {
  const nobody = new TrustedProxies();
  expect(nobody.clientOf("::ffff:10.0.0.1", { "x-forwarded-for": "198.51.100.1" })).toBe(
    "10.0.0.1",
  );
  expect(nobody.clientOf(undefined, {})).toBe("");
  expect(PROXIES.clientOf(undefined, { "x-forwarded-for": "198.51.100.1" })).toBe("");
});

/** A server that listens for both families, as it does unless told otherwise. */
async function start(trusted_proxies: string[]) {
  const listener = { addr: ":0" };
  const addresses: string[] = [];
  const server = createServer({
    config: parseConfig({
      server: { http: { addr: "127.0.0.1:0" } },
      transport: { websocket: listener, grpc: listener, trusted_proxies },
    }),
    backends: {
      authenticate: async ({ address }) => {
        addresses.push(address);
        return { userId: "me" };
      },
    },
  });
  const ports = await server.start();
  onTestFinished(() => server.stop());
  return { ports, addresses };
}

async function webSocket(host: string, port: number, headers: Record<string, string>) {
  const socket = new WebSocket(`ws://${host}:${port}/ws`, ["messageloop+json"], { headers });
  onTestFinished(() => socket.terminate());
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await once(socket, "open");
  expect(kindOf(await client.connect())).toBe("connected");
}

test("the authenticator sees one form by every listener", async () => {
  const { ports, addresses } = await start([]);
  const forged = { "X-Forwarded-For": "198.51.100.1" };
  await webSocket("127.0.0.1", ports.websocket, forged);
  for (const client of [
    new GrpcClient(`127.0.0.1:${ports.grpc}`, true),
    new ConnectClient(`127.0.0.1:${ports.grpc}`),
  ]) {
    onTestFinished(() => client.cancel());
    await client.request({ connect: {} });
  }
  expect(addresses).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
});

test("behind a proxy that is trusted it sees the client's", async () => {
  const { ports, addresses } = await start(["127.0.0.0/8"]);
  const headers = { "X-Forwarded-For": "192.0.2.9, [2001:db8::5]:99" };
  await webSocket("127.0.0.1", ports.websocket, headers);
  const client = new ConnectClient(`127.0.0.1:${ports.grpc}`, true, headers);
  onTestFinished(() => client.cancel());
  await client.request({ connect: {} });
  expect(addresses).toEqual(["2001:db8::5", "2001:db8::5"]);
});

test.each([
  ["10.0.0.0/8", true],
  ["10.1.2.3", true],
  ["fd00::/8", true],
  ["::1", true],
  ["10.0.0.0/33", false],
  ["10.0.0/8", false],
  ["fd00::/129", false],
  ["proxy.example", false],
  ["", false],
])("trusted_proxies: %j", (network, valid) => {
  const parse = () => parseConfig({ transport: { trusted_proxies: [network] } });
  if (valid) expect(parse().trustedProxies).toEqual([network]);
  else expect(parse).toThrow("transport.trusted_proxies.0: must be an address or a network");
});

test("the admin port listens for this machine alone unless told otherwise", () => {
  expect(parseConfig({}).http.address).toEqual({ host: "127.0.0.1", port: 8080 });
});

test.each([
  ["127.0.0.1", false, false],
  ["::1", false, false],
  ["::ffff:127.0.0.1", false, false],
  ["10.1.2.3", false, false],
  ["192.0.2.1", false, true],
  ["192.0.2.1", true, false],
  [undefined, false, true],
])(
  "a key from %s is exposed unless nobody on the way can read it (TLS: %s)",
  (remoteAddress, encrypted, exposed) => {
    const proxies = new TrustedProxies(["10.0.0.0/8"]);
    const request = { socket: { remoteAddress, encrypted }, headers: {} };
    expect(proxies.peerOf(request as never).exposed).toBe(exposed);
  },
);
