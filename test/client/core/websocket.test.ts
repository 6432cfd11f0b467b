/** WebSockets as each runtime has them, under one transport. */
import { expect, test } from "vitest";
import type { TransportEnd, TransportEvents } from "../../../src/client/core/ports.ts";
import { type WebSocketLike, webSocket } from "../../../src/client/core/websocket.ts";
import { dial } from "../../../src/client/dial.ts";

type Event = { data: unknown } & { code: number; reason: string };

class FakeSocket implements WebSocketLike {
  static last: FakeSocket | undefined;
  binaryType = "blob";
  readyState = 0;
  protocol: string | null | undefined = "messageloop+json";
  readonly sent: unknown[] = [];
  readonly closes: unknown[][] = [];
  readonly url: string;
  readonly protocols: string[];
  readonly #listeners = new Map<string, ((event: Event) => void)[]>();

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.last = this;
  }

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(...terms: unknown[]): void {
    this.closes.push(terms);
    if (this.readyState === 3) throw new Error("closed already");
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    const all = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, [...all, listener as (event: Event) => void]);
  }

  emit(type: string, event: object = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as Event);
  }

  open(): void {
    this.readyState = 1;
    this.emit("open");
  }
}

function begin(url = "ws://x/ws") {
  const log: unknown[] = [];
  const events: TransportEvents = {
    opened: () => log.push("opened"),
    frame: (frame) => log.push(frame),
    alive: () => log.push("alive"),
    ended: (end: TransportEnd) => log.push(end),
  };
  const transport = webSocket(FakeSocket).open(url, "messageloop+json", events);
  const socket = FakeSocket.last;
  if (socket === undefined) throw new Error("no socket was made");
  return { transport, socket, log };
}

test("it asks for one subprotocol, reads bytes, and hears what shares a packet with the handshake", () => {
  const { socket, log } = begin();
  expect(socket).toMatchObject({
    url: "ws://x/ws",
    protocols: ["messageloop+json"],
    binaryType: "arraybuffer",
  });
  socket.open();
  socket.emit("message", { data: "{}" });
  socket.emit("message", { data: new Uint8Array([1, 2]).buffer });
  socket.emit("message", { data: "pong" });
  expect(log).toEqual(["opened", "{}", new Uint8Array([1, 2]), "alive"]);
});

test.each([null, undefined, "messageloop+json"])("the subprotocol %s is right", (protocol) => {
  const { socket, log } = begin();
  socket.protocol = protocol;
  socket.open();
  expect(log).toEqual(["opened"]);
});

test.each(["", "foreign"])("the subprotocol %j is a clear error at once", (protocol) => {
  const { socket, log } = begin();
  socket.protocol = protocol;
  socket.open();
  socket.emit("message", { data: "{}" });
  socket.emit("close", { code: 1000, reason: "" });
  expect(log).toEqual([
    {
      code: 1006,
      reason: `subprotocol "${protocol}", not messageloop+json`,
      fatal: true,
    },
  ]);
  expect(socket.closes).toHaveLength(1);
});

test("the end is reported once, with 1006 where the runtime has no code", () => {
  const { socket, log } = begin();
  socket.open();
  socket.emit("error");
  socket.emit("close", { code: 0, reason: "" });
  socket.emit("error");
  socket.emit("close", { code: 1006, reason: "" });
  expect(log).toEqual(["opened", { code: 1006, reason: "", fatal: false }]);
});

// Node 20.20 and 22.23 tell nothing but the error of a server that is away or says no, in the state CONNECTING.
test("an error before it is open is the end, without a close and whatever comes later", () => {
  const { socket, log } = begin();
  socket.emit("error");
  expect(log).toEqual([{ code: 1006, reason: "", fatal: false }]);
  socket.emit("close", { code: 1006, reason: "" });
  socket.open();
  expect(log).toHaveLength(1);
  expect(socket.closes).toHaveLength(1);
});

test("an error of a connection that is open is not: the close says more", () => {
  const { socket, log } = begin();
  socket.open();
  socket.emit("error");
  expect(log).toEqual(["opened"]);
  socket.emit("close", { code: 3512, reason: "server going away" });
  expect(log).toEqual(["opened", { code: 3512, reason: "server going away", fatal: false }]);
});

test("nothing is sent before it is open and after it has closed, and closing twice is harmless", () => {
  const { transport, socket } = begin();
  transport.send("early");
  socket.open();
  transport.send("now");
  transport.ping();
  socket.readyState = 3;
  transport.send("late");
  transport.close(1000, "");
  transport.close(1000, "");
  expect(socket.sent).toEqual(["now", "ping"]);
});

test("a URL of HTTP is one of WebSockets, and a path needs a page", () => {
  expect(begin("https://x/ws").socket.url).toBe("wss://x/ws");
  expect(begin("http://x/ws?a=1").socket.url).toBe("ws://x/ws?a=1");
  expect(() => begin("/ws")).toThrow("no WebSocket URL");
  expect(() => begin("http://[")).toThrow("no WebSocket URL");
});

test("a runtime without WebSockets is an error that says so", async () => {
  const own = globalThis.WebSocket;
  try {
    Reflect.deleteProperty(globalThis, "WebSocket");
    await expect(dial("ws://x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  } finally {
    globalThis.WebSocket = own;
  }
});
