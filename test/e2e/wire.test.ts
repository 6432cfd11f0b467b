/** What only a real network shows: close codes, the size limit, the heartbeat, the handshake. */
import { expect, inject, test } from "vitest";
import { WebSocket } from "ws";

const url = inject("url");
const wsUrl = `${url.replace("http", "ws")}/ws`;

/** At once on a busy machine: without an answer the library gives up after ten seconds or more. */
const AT_ONCE_MS = 8_000;

interface Closed {
  readonly code: number;
  readonly reason: string;
  readonly tookMs: number;
}

/** A socket that keeps what it receives. */
class Socket {
  readonly ws: WebSocket;
  readonly frames: string[] = [];
  readonly closed: Promise<Closed>;
  #closing = Date.now();

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data) => this.frames.push(`${data as Buffer}`));
    this.closed = new Promise((resolve) => {
      ws.on("close", (code, reason) => {
        resolve({ code, reason: `${reason}`, tookMs: Date.now() - this.#closing });
      });
    });
  }

  static async open(protocols: string[] = ["messageloop+json"]): Promise<Socket> {
    const ws = new WebSocket(wsUrl, protocols);
    const socket = new Socket(ws);
    await new Promise((resolve, reject) => {
      ws.on("open", resolve);
      ws.on("error", reject);
    });
    return socket;
  }

  /** Sends a frame and resolves with the next one received. */
  async ask(frame: string): Promise<string> {
    const next = new Promise<string>((resolve, reject) => {
      this.ws.once("message", (data) => resolve(`${data as Buffer}`));
      this.ws.once("close", (code) => reject(new Error(`closed ${code}`)));
    });
    this.ws.send(frame);
    return await next;
  }

  close(code?: number, reason?: string): Promise<Closed> {
    this.#closing = Date.now();
    this.ws.close(code, reason);
    return this.closed;
  }
}

const connect = JSON.stringify({ id: "1", connect: { client_id: "c" } });

test("the text frame ping is answered by pong, before and after connect", async () => {
  const socket = await Socket.open();
  expect(await socket.ask("ping")).toBe("pong");
  expect(await socket.ask(connect)).toContain("session_id");
  expect(await socket.ask("ping")).toBe("pong");
  await socket.close();
});

test("the close handshake is answered at once, with the client's own code", async () => {
  const withCode = await (await Socket.open()).close(4001, "bye");
  expect(withCode).toMatchObject({ code: 4001, reason: "bye" });
  expect(withCode.tookMs).toBeLessThan(AT_ONCE_MS);
  const without = await (await Socket.open()).close();
  expect(without.code).toBe(1005);
  expect(without.tookMs).toBeLessThan(AT_ONCE_MS);
});

test("protocol errors close with their code and reason", async () => {
  const early = await Socket.open();
  early.ws.send(JSON.stringify({ id: "1", publish: { id: "e", source: "s", type: "t" } }));
  expect(await early.closed).toMatchObject({ code: 3502, reason: "stale" });
  const twice = await Socket.open();
  await twice.ask(connect);
  twice.ws.send(connect);
  expect(await twice.closed).toMatchObject({ code: 3501, reason: "bad request" });
});

test("a frame of 64 KiB passes, one byte more closes with 1009, and the server lives", async () => {
  const socket = await Socket.open();
  await socket.ask(connect);
  const frame = (size: number): string => {
    const empty = JSON.stringify({ id: "2", ping: {}, pad: "" });
    return JSON.stringify({ id: "2", ping: {}, pad: "x".repeat(size - empty.length) });
  };
  expect(await socket.ask(frame(65_536))).toContain("pong");
  socket.ws.send(frame(65_537));
  expect(await socket.closed).toMatchObject({ code: 1009, reason: "message too big" });
  const large = await Socket.open();
  await large.ask(connect);
  large.ws.send("x".repeat(4 * 1024 * 1024));
  expect((await large.closed).code).toBe(1009);
  const next = await Socket.open();
  expect(await next.ask(connect)).toContain("session_id");
  await next.close();
});

test("compression is not negotiated and the subprotocol is the server's choice", async () => {
  const socket = await Socket.open(["messageloop+proto", "messageloop+json"]);
  expect(socket.ws.protocol).toBe("messageloop+json");
  await socket.close();
});

test("a plain GET is 400, an unknown path 404, the page 200", async () => {
  const plain = await fetch(`${url}/ws`);
  expect(plain.status).toBe(400);
  expect(plain.headers.get("sec-websocket-version")).toBe("13");
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
  const page = await fetch(url);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("<title>MessageLoop</title>");
});

test("a browser's foreign origin is refused, its own host is not", async () => {
  const status = (origin: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const ws = new WebSocket(wsUrl, ["messageloop+json"], { origin });
      ws.on("open", () => {
        resolve(101);
        ws.close();
      });
      ws.on("unexpected-response", (request, response) => {
        resolve(response.statusCode ?? 0);
        request.destroy();
      });
      ws.on("error", reject);
    });
  expect(await status("https://evil.example")).toBe(403);
  expect(await status(url)).toBe(101);
});
