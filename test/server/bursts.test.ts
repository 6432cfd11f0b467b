/** The server stops reading a v1 client that sends faster than its requests can be done, on every listener. */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { Client } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import {
  ConnectClient,
  envelopeOf,
  GrpcClient,
  type StreamClient,
} from "../support/stream-client.ts";

const MIB = 1024 * 1024;
const TEXT = "x".repeat(32 * 1024);
/** Together three times what may wait before the server stops reading. */
const RPCS = (6 * MIB) / TEXT.length;
/** What the host may have read beyond the limit before it stopped. */
const READ_AHEAD = MIB;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server whose backend answers nothing before it is opened. */
async function start() {
  const gate = Promise.withResolvers<void>();
  const backends: Backends = {
    rpc: async ({ payload }) => {
      await gate.promise;
      return payload;
    },
  };
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener, drain_timeout: "2s" },
    transport: { websocket: listener, grpc: listener },
  });
  const server = createServer({ config, backends });
  const ports = await server.start();
  cleanups.push(() => server.stop());
  return { engine: server.engine, ports, answer: () => gate.resolve() };
}

/** Waits until the server has read nothing more for several looks, and resolves with what it has read. */
async function readSoFar(engine: { stats(): { readonly bytesIn: number } }) {
  let before = -1;
  let still = 0;
  return await eventually(
    async () => {
      const { bytesIn } = engine.stats();
      still = bytesIn === before ? still + 1 : 0;
      before = bytesIn;
      return bytesIn;
    },
    () => still >= 5,
  );
}

test("L5, R5: a WebSocket of a v1 client is not read while too much waits, and all is answered in the end", async () => {
  const { engine, ports, answer } = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`, ["messageloop+proto"]);
  const client = new Client<WebSocket>(socket, { encoding: "proto", extended: false });
  cleanups.push(() => socket.terminate());
  await new Promise((resolve) => socket.once("open", resolve));
  await client.connect();
  const replies = Array.from({ length: RPCS }, () => client.rpc("m", TEXT));
  const read = await readSoFar(engine);
  expect(read).toBeLessThan(engine.settings.maxOpenRequestBytes / 2 + READ_AHEAD);
  answer();
  const kinds = (await Promise.all(replies)).map(({ envelope }) => envelope.case);
  expect(kinds.filter((kind) => kind === "rpcReply")).toHaveLength(RPCS);
});

const STREAMS: readonly (readonly [name: string, make: (address: string) => StreamClient])[] = [
  ["gRPC", (address) => new GrpcClient(address, true)],
  ["Connect", (address) => new ConnectClient(address)],
];

test.each(STREAMS)("L5, R5: a stream of %s is not read either", async (_, make) => {
  const { engine, ports, answer } = await start();
  const client = make(`127.0.0.1:${ports.grpc}`);
  cleanups.push(() => client.cancel());
  await client.request({ connect: {} });
  const replies = Array.from({ length: RPCS }, () => client.rpc("m", TEXT));
  const read = await readSoFar(engine);
  expect(read).toBeLessThan(engine.settings.maxOpenRequestBytes / 2 + READ_AHEAD);
  answer();
  const kinds = (await Promise.all(replies)).map(envelopeOf);
  expect(kinds.filter((kind) => kind === "rpc_reply")).toHaveLength(RPCS);
});

test("L5: a session that ends while it is not read lets go of its connection", async () => {
  const { engine, ports } = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${ports.websocket}/ws`, ["messageloop+proto"]);
  const client = new Client<WebSocket>(socket, { encoding: "proto", extended: false });
  cleanups.push(() => socket.terminate());
  await new Promise((resolve) => socket.once("open", resolve));
  await client.connect();
  const lost = Array.from({ length: RPCS }, () => client.rpc("m", TEXT).catch(() => "closed"));
  await readSoFar(engine);
  for (const session of engine.sessions()) session.close({ code: 3503, reason: "enough" });
  expect(await client.closed()).toEqual({ code: 3503, reason: "enough" });
  expect(new Set(await Promise.all(lost))).toEqual(new Set(["closed"]));
  expect(engine.stats().waitingBytes).toBe(0);
});
