/** Clients that write bytes themselves, to do what no library would. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { ownTime } from "../support/own-time.ts";

/** More than what is measured may take: who is late is told so by the bound of the test. */
const PATIENCE_MS = 30_000;

/** What makes a request an upgrade to WebSocket. */
export const UPGRADE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** A connection that stays half open when the server ends its half, as a careless client's does. */
export function dialRaw(port: number, bytes: string | Uint8Array = ""): Socket {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  if (bytes.length > 0) socket.write(bytes);
  onTestFinished(() => {
    socket.destroy();
  });
  return socket;
}

/** Sends bytes, and resolves with the first line of the answer. */
export async function firstLine(port: number, bytes: string): Promise<string> {
  const socket = dialRaw(port, bytes);
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  while (!text.includes("\r\n")) await once(socket, "data", { signal });
  socket.destroy();
  return text.slice(0, text.indexOf("\r\n"));
}

/** A WebSocket by hand, ready for frames; it reads only what it is told to. */
export async function upgraded(port: number, headers = ""): Promise<Socket> {
  const socket = dialRaw(port, `GET /ws HTTP/1.1\r\nHost: a.test\r\n${UPGRADE}${headers}\r\n`);
  let head = Buffer.alloc(0);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  while (!head.includes("\r\n\r\n")) {
    const [chunk] = (await once(socket, "data", { signal })) as [Buffer];
    head = Buffer.concat([head, chunk]);
  }
  socket.pause();
  const status = head.toString("latin1").split(" ", 2)[1];
  if (status !== "101") throw new Error(`refused with ${status}`);
  const rest = head.subarray(head.indexOf("\r\n\r\n") + 4);
  if (rest.length > 0) socket.unshift(rest);
  return socket;
}

/** A frame as a client sends it, with a mask of zeros. */
export function frameOf(data: string | Uint8Array, opcode = 1, final = true): Buffer {
  const body = Buffer.from(data as string);
  const head =
    body.length < 126
      ? Buffer.from([(final ? 128 : 0) | opcode, 128 | body.length])
      : Buffer.from([(final ? 128 : 0) | opcode, 254, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), body]);
}

/** Resolves when a connection has ended from the other side, with how long that took of this process' own time. */
export async function gone(socket: Socket, ms = PATIENCE_MS): Promise<number> {
  const time = ownTime();
  if (!socket.destroyed) {
    socket.resume();
    await Promise.race([
      once(socket, "close", { signal: AbortSignal.timeout(ms) }),
      once(socket, "end", { signal: AbortSignal.timeout(ms) }),
    ]);
  }
  time.stop();
  return time.ms();
}
