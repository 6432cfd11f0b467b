/**
 * What all bare servers do: WebSocket clients join channels, and frames go to everybody who has joined. `setup` and
 * `join CHANNEL` are answered here, everything else begins with its channel and a space.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type RawData, type WebSocket, WebSocketServer } from "ws";

export interface Client {
  readonly ws: WebSocket;
  readonly socket: Duplex;
  turn: Buffer[];
}

export interface BareServer {
  publish(channel: string, data: Buffer): void;
  /** What comes before the answer to `join`. Default nothing. */
  joined?(channel: string): Promise<void>;
}

const channels = new Map<string, Set<Client>>();
let waiting: Client[] = [];

export function subscribersOf(channel: string): Set<Client> {
  let subscribers = channels.get(channel);
  if (subscribers === undefined) {
    subscribers = new Set();
    channels.set(channel, subscribers);
  }
  return subscribers;
}

/** Listens on a port of loopback, by default a free one, and prints it. */
export function listen({ publish, joined }: BareServer, port = 0): void {
  const http = createServer();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  http.on("upgrade", (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (ws) => {
      const client: Client = { ws, socket, turn: [] };
      let subscribers: Set<Client> | undefined;
      ws.on("close", () => subscribers?.delete(client));
      ws.on("message", (raw: RawData) => {
        const data = raw as Buffer;
        const space = data.indexOf(0x20);
        const first = data.toString("latin1", 0, space < 0 ? data.length : space);
        if (first === "setup") {
          ws.send(first);
        } else if (first === "join") {
          const channel = data.toString("latin1", space + 1);
          subscribers = subscribersOf(channel).add(client);
          if (joined === undefined) ws.send(first);
          else joined(channel).then(() => ws.send(first), fail);
        } else {
          publish(first, data);
        }
      });
    });
  });
  http.listen(port, "127.0.0.1", () => console.log((http.address() as AddressInfo).port));
  process.once("SIGTERM", () => process.exit(0));
}

/** Ends the program: nothing that it could count would mean anything. */
export function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}

export function byFrame(subscribers: ReadonlySet<Client>, data: Buffer): void {
  for (const { ws } of subscribers) ws.send(data, { binary: false });
}

export function byTurn(subscribers: ReadonlySet<Client>, data: Buffer): void {
  const frame = wireForm(data);
  for (const client of subscribers) {
    if (client.turn.length === 0) {
      if (waiting.length === 0) setImmediate(endTurn);
      waiting.push(client);
    }
    client.turn.push(frame);
  }
}

function endTurn(): void {
  const clients = waiting;
  waiting = [];
  // Subscribers of one channel have the same frames: these are put together once.
  let frames: readonly Buffer[] = [];
  let bytes = Buffer.alloc(0);
  for (const client of clients) {
    if (!alike(frames, client.turn)) {
      frames = client.turn;
      bytes = Buffer.concat(client.turn);
    }
    client.socket.write(bytes);
    client.turn = [];
  }
}

function alike(left: readonly Buffer[], right: readonly Buffer[]): boolean {
  return left.length === right.length && left.every((frame, i) => frame === right[i]);
}

/** A whole text frame of a server, unmasked. */
function wireForm(data: Buffer): Buffer {
  const { length } = data;
  const head =
    length < 126
      ? Buffer.from([0x81, length])
      : Buffer.from([0x81, 126, length >> 8, length & 255]);
  return Buffer.concat([head, data]);
}
