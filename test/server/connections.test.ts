/** How many connections there are, and how those go that are refused, closed or never used. */
import { type EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2, type Settings } from "node:http2";
import type { Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { eventually, sleep } from "../support/eventually.ts";
import { ownTime } from "../support/own-time.ts";
import { GrpcClient } from "../support/stream-client.ts";
import { type ChildServer, startChild } from "./child.ts";
import { dialRaw, firstLine, frameOf, gone, UPGRADE, upgraded } from "./raw.ts";

const CONNECT = frameOf(JSON.stringify({ id: "c", connect: { client_id: "x" } }));
const REQUEST = `GET /ws HTTP/1.1\r\nHost: a.test\r\n${UPGRADE}\r\n`;
/** How long a test waits for an end. */
const GONE_MS = 30_000;
const PATH = "/messageloop.v1.MessagingService/MessageLoop";

async function connections(server: ChildServer, count: number, ms?: number): Promise<void> {
  const look = async () => (await server.stats()).connections;
  await eventually(look, (now) => now === count, ms);
}

function http2(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

test("1,000 sockets that ignore their close frames are gone within ten seconds", async () => {
  const server = await startChild({ server: { connect_deadline: "2s" } });
  const sockets: Socket[] = [];
  for (let i = 0; i < 1_000; i += 50) {
    const some = Array.from({ length: 50 }, () => upgraded(server.ports.websocket));
    sockets.push(...(await Promise.all(some)));
  }
  const closed = async () => (await server.stats()).disconnects["3502"] ?? 0;
  await eventually(closed, (count) => count === 1_000, 30_000);
  const time = ownTime();
  await connections(server, 0, 30_000);
  time.stop();
  expect(time.ms()).toBeLessThan(10_000);
});

test("clients that come all at once wait in the queue of the system, and need not come again", async () => {
  const { pid, ports } = await startChild();
  const room = Number(await readFile("/proc/sys/net/core/somaxconn", "utf8"));
  const clients = Math.min(1_500, room);
  let connected = 0;
  // It accepts nothing meanwhile.
  process.kill(pid, "SIGSTOP");
  try {
    for (let i = 0; i < clients; i++) {
      dialRaw(ports.websocket).once("connect", () => {
        connected += 1;
      });
    }
    await eventually(
      async () => connected,
      (count) => count === clients,
    );
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("beyond the limit 3504, beyond twice the limit 503; refused ones make room again", async () => {
  const server = await startChild({ limits: { connections: 10 } });
  const { websocket, grpc } = server.ports;
  // A stream is a connection like any other.
  const streams = Array.from({ length: 4 }, () => new GrpcClient(`127.0.0.1:${grpc}`, true));
  for (const stream of streams) {
    onTestFinished(() => stream.cancel());
    await stream.request({ connect: {} });
  }
  for (let i = 0; i < 6; i++) (await upgraded(websocket)).write(CONNECT);
  await connections(server, 10);
  const refused = await Promise.all(Array.from({ length: 10 }, () => upgraded(websocket)));
  for (const socket of refused) {
    socket.resume();
    const [frame] = (await once(socket, "data")) as [Buffer];
    expect([frame[0], frame.readUInt16BE(2)]).toEqual([0x88, 3504]);
    socket.pause();
  }
  await connections(server, 20);
  const socket = dialRaw(websocket, REQUEST);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 503 .*\r\nRetry-After: [1-5]\r\n/s);
  const late = new GrpcClient(`127.0.0.1:${grpc}`, true);
  expect(await late.ended()).toBe(14);
  expect(server.exitCode()).toBeNull();
  await connections(server, 10);
  expect((await server.stats()).sessions).toBe(10);
  for (const stream of streams) stream.halfClose();
  await connections(server, 6);
  (await upgraded(websocket)).write(CONNECT);
  await eventually(server.stats, ({ sessions }) => sessions === 7);
});

test("a stream beyond the limit is told 3504, and is not kept by a client that stays", async () => {
  const server = await startChild({ limits: { connections: 1 } });
  const address = `127.0.0.1:${server.ports.grpc}`;
  const first = new GrpcClient(address, true);
  onTestFinished(() => first.cancel());
  await first.request({ connect: {} });
  const stream = http2(server.ports.grpc).request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
  });
  stream.on("error", () => {});
  await once(stream, "response");
  // Neither read nor ended from here on.
  await connections(server, 1);
});

/** Peers that are never used, or not any more. Each resolves when it has gone. */
const PEERS: Readonly<Record<string, (ports: ChildServer["ports"]) => Promise<unknown>>> = {
  "nothing to the WebSocket port": ({ websocket }) => gone(dialRaw(websocket)),
  "nothing to the gRPC port": ({ grpc }) => gone(dialRaw(grpc)),
  "nothing to the admin port": ({ http }) => gone(dialRaw(http)),
  "a head that never ends": sends("GET / HTTP/1.1\r\nHost: a\r\n"),
  "a body that never comes": sends("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"),
  "a call whose body never comes": sends(
    `POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n`,
  ),
  "a request, and nothing more": sends("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  "an upgrade that is refused": sends(REQUEST.replace("13", "12")),
  "an HTTP/2 connection without a stream": async ({ grpc }) => await closed(http2(grpc)),
  "a call to another path": calls({ ":path": "/elsewhere" }),
  "a call of another type": calls({ "content-type": "text/plain" }),
  "a call by another method": calls({ ":method": "GET" }),
};

function sends(bytes: string) {
  return ({ websocket }: ChildServer["ports"]) => gone(dialRaw(websocket, bytes), GONE_MS);
}

/** A call that is none, whose client does not end its half. */
function calls(headers: Record<string, string>) {
  return async ({ grpc }: ChildServer["ports"]): Promise<void> => {
    const call = { ":method": "POST", ":path": PATH, "content-type": "application/grpc" };
    const stream = http2(grpc).request({ ...call, ...headers }, { endStream: false });
    stream.on("error", () => {});
    stream.resume();
    await closed(stream);
  };
}

async function closed(one: EventEmitter): Promise<void> {
  await once(one, "close", { signal: AbortSignal.timeout(GONE_MS) });
}

test("peers that are never used, or not any more, are gone within ten seconds", async () => {
  const { ports } = await startChild();
  const took = await Promise.all(
    Object.entries(PEERS).map(async ([what, open]) => {
      const time = ownTime();
      const end = await open(ports).then(
        () => time.ms(),
        () => Number.POSITIVE_INFINITY,
      );
      time.stop();
      return [what, end] as const;
    }),
  );
  expect(took.filter(([, ms]) => ms > 10_000)).toEqual([]);
});

test("a client that sends requests and does not read the answers is gone within ten seconds", async () => {
  const { ports } = await startChild();
  const socket = dialRaw(ports.http);
  socket.pause();
  socket.write("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2_000));
  const began = performance.now();
  // It learns of the end when it writes.
  await eventually(
    async () => socket.write("\r\n"),
    () => socket.destroyed,
    60_000,
  );
  // A busy machine needs a while for what fills the buffers before.
  expect(performance.now() - began).toBeLessThan(30_000);
});

test("an HTTP/2 connection says how many streams it may have", async () => {
  const { ports } = await startChild();
  const [settings] = (await once(http2(ports.grpc), "remoteSettings")) as [Settings];
  expect(settings.maxConcurrentStreams).toBe(1_000);
});

test("a slow consumer has longer, and finds everything up to its close frame", async () => {
  const server = await startChild({ limits: { queue_bytes: 65_536 } });
  const socket = await upgraded(server.ports.websocket);
  socket.write(CONNECT);
  await eventually(server.stats, ({ sessions }) => sessions === 1);
  const rpc = { source: "/s", type: "t", text_data: "x".repeat(60_000) };
  const ask = frameOf(JSON.stringify({ id: "r", channel: "c", rpc_request: rpc }));
  const closed = async () => {
    for (let i = 0; i < 20; i++) socket.write(ask);
    return (await server.stats()).disconnects["3510"] ?? 0;
  };
  await eventually(closed, (count) => count === 1);
  // Longer than any other client has.
  await sleep(6_000);
  expect((await server.stats()).connections).toBe(1);
  let tail = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-100);
  });
  socket.resume();
  await once(socket, "end", { signal: AbortSignal.timeout(20_000) });
  const reason = "slow consumer";
  const frame = Buffer.from(`..${reason}`);
  frame.writeUInt16BE(3510, 0);
  const close = Buffer.concat([Buffer.from([0x88, frame.length]), frame]);
  expect(tail.subarray(-close.length)).toEqual(close);
  socket.write(frameOf(frame, 8));
  await connections(server, 0);
});

test("a message in too many parts ends its connection alone", async () => {
  const server = await startChild();
  const socket = await upgraded(server.ports.websocket);
  const part = frameOf("x", 0, false);
  socket.write(
    Buffer.concat([frameOf("x", 1, false), ...Array.from({ length: 1_100 }, () => part)]),
  );
  socket.resume();
  const [frame] = (await once(socket, "data")) as [Buffer];
  expect([frame[0], frame.readUInt16BE(2)]).toEqual([0x88, 1008]);
  await connections(server, 0);
  expect(await firstLine(server.ports.websocket, REQUEST)).toContain(" 101 ");
});

test.each<readonly [string, (server: ChildServer) => Promise<unknown>]>([
  ["nobody", async () => {}],
  [
    "TCP connections that send nothing",
    async ({ ports }) => [dialRaw(ports.grpc), dialRaw(ports.websocket), dialRaw(ports.http)],
  ],
  [
    "an idle HTTP/2 connection",
    async ({ ports }) => await once(http2(ports.grpc), "remoteSettings"),
  ],
  [
    "a head that never ends",
    async ({ ports }) => dialRaw(ports.websocket, "GET / HTTP/1.1\r\nA: b\r\n"),
  ],
  ["a client that ignores its close frame", async ({ ports }) => await upgraded(ports.websocket)],
])("a stop does not wait for %s", async (_, open) => {
  const server = await startChild();
  await open(server);
  const time = ownTime();
  expect(await server.stop()).toBe(0);
  time.stop();
  expect(time.ms()).toBeLessThan(3_500);
});
