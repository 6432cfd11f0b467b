/**
 * The other end of `probe.mjs`: a server of bare frames that does what no good server does, by the path that it is called
 * with. It serves the program to pages as well.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 0x81;
const CLOSE = 0x88;
const FRAMES_LATE = 20;
const FRAMES_EARLY = 5;

/** What happens at a path. What is not there is done as a good server does it. */
interface Scene {
  /** The subprotocol in the answer; default the first that was offered. */
  readonly protocol?: string;
  /** Frames in the packet of the answer. */
  readonly early?: Buffer;
  /** When the client may have opened. */
  opened?(socket: Socket): void;
  /** When the client has sent a text. */
  text?(socket: Socket): void;
  /** When the client has sent its close frame. */
  closed?(socket: Socket, close: Buffer): void;
}

const DRAIN = closeFrame(3512, "drain");

const SCENES: Readonly<Record<string, Scene>> = {
  idle: {},
  fin: { opened: (socket) => socket.end() },
  reset: { opened: (socket) => socket.resetAndDestroy() },
  drain: { opened: (socket) => socket.write(DRAIN), closed: (socket) => socket.end() },
  "drain-and-end": { opened: (socket) => socket.end(DRAIN) },
  none: { protocol: "" },
  foreign: { protocol: "foreign" },
  unanswered: { closed: () => {} },
  "left-open": { closed: (socket, close) => socket.write(close) },
  late: {
    closed: (socket, close) => socket.end(Buffer.concat([texts(FRAMES_LATE), close])),
  },
  early: { early: texts(FRAMES_EARLY) },
  burst: { text: (socket) => socket.write(texts(3)) },
};

/** Long enough for a client to have told its program that it is open, in milliseconds. */
const OPENING_MS = 100;

export interface BareServer {
  readonly http: string;
  readonly socket: string;
  stop(): Promise<void>;
}

export async function startBareServer(): Promise<BareServer> {
  const program = await readFile(new URL("probe.mjs", import.meta.url));
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const script = request.url === "/probe.mjs";
    response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
    response.end(script ? program : "<!doctype html><title>check</title>");
  });
  server.on("connection", (socket) => {
    sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)));
  });
  server.on("upgrade", (request, socket: Socket) => {
    const name = (request.url ?? "").slice(1);
    const scene = SCENES[name];
    if (scene === undefined) {
      socket.end(`HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const offered = request.headers["sec-websocket-protocol"]?.split(",")[0] ?? "";
    join(socket, request.headers["sec-websocket-key"] ?? "", offered, scene);
  });
  const port = await listening(server);
  return {
    http: `http://127.0.0.1:${port}`,
    socket: `ws://127.0.0.1:${port}`,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function join(socket: Socket, key: string, offered: string, scene: Scene): void {
  const { protocol = offered, early = Buffer.alloc(0) } = scene;
  const accept = createHash("sha1").update(key).update(GUID).digest("base64");
  const head = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...(protocol === "" ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    "\r\n",
  ];
  socket.setNoDelay(true);
  socket.write(Buffer.concat([Buffer.from(head.join("\r\n")), early]));
  setTimeout(() => scene.opened?.(socket), OPENING_MS);
  let rest = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
      rest = rest.subarray(frame.length);
      if (frame.opcode === 1) scene.text?.(socket);
      if (frame.opcode !== 8) continue;
      const close = Buffer.concat([Buffer.from([CLOSE, frame.payload.length]), frame.payload]);
      if (scene.closed === undefined) socket.end(close);
      else scene.closed(socket, close);
    }
  });
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  /** Of the frame as a whole. */
  readonly length: number;
}

/** The first frame of a client, once all of it is there. */
function firstFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes.readUInt8(1) & 0x7f;
  const begin = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < begin) return undefined;
  const size =
    short === 127
      ? Number(bytes.readBigUInt64BE(2))
      : short === 126
        ? bytes.readUInt16BE(2)
        : short;
  const length = begin + 4 + size;
  if (bytes.length < length) return undefined;
  const mask = bytes.subarray(begin, begin + 4);
  const payload = Buffer.from(bytes.subarray(begin + 4, length));
  for (const [i, byte] of payload.entries()) payload[i] = byte ^ (mask[i % 4] ?? 0);
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, length };
}

function texts(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.from([TEXT, 1, 0x61 + i])));
}

function closeFrame(code: number, reason: string): Buffer {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
  return Buffer.concat([Buffer.from([CLOSE, payload.length]), payload]);
}
