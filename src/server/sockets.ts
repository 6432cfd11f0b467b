/** WebSocket connections: the handshake, frames in, and the transport that sessions write to. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Counters } from "../engine/counters.ts";
import type { Engine } from "../engine/engine.ts";
import type { Transport } from "../engine/ports.ts";
import type { Session } from "../engine/session.ts";
import { type HandshakeRules, handshakeProblem } from "../http/handshake.ts";
import { negotiate } from "../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import { MAX_REASON_BYTES } from "../protocol/limits.ts";
import { sized } from "../protocol/publication-frames.ts";
import { utf8Cut } from "../protocol/utf8.ts";
import { Flusher, SocketWriter, type WriterOwner } from "./writer.ts";

/**
 * How long a peer may take to answer a close frame, in milliseconds. Long, because a slow consumer has
 * to read what lies before it first.
 */
const CLOSE_TIMEOUT_MS = 120_000;
/** What the library takes beyond the limit, so that the session can say why it refuses. */
const SIZE_MARGIN_BYTES = 64 * 1024;

export interface SocketsOptions {
  readonly engine: Engine;
  /** Connections that the server holds; more are closed with 3504. */
  readonly maxConnections: number;
  /** Bytes that may wait for one connection; more close it with 3510. */
  readonly maxQueueBytes: number;
  readonly handshake: HandshakeRules;
  /** A fresh session id. */
  readonly sessionId: () => string;
}

export class Sockets {
  readonly #options: SocketsOptions;
  readonly #server: WebSocketServer;
  readonly #flusher = new Flusher();
  readonly #open = new Set<WebSocket>();

  constructor(options: SocketsOptions) {
    this.#options = options;
    // The library's types do not know closeTimeout yet, so the options are no literal of the call.
    const settings = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.engine.settings.maxMessageBytes + SIZE_MARGIN_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (offers: Set<string>) => negotiate([...offers]).subprotocol ?? false,
    };
    this.#server = new WebSocketServer(settings);
  }

  /** Connections that have not ended, those that are closing included. */
  get size(): number {
    return this.#open.size;
  }

  /** Takes an upgrade of the HTTP server. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { method = "", headers } = request;
    const header = (name: string): string | null => {
      const value = headers[name.toLowerCase()];
      return typeof value === "string" ? value : null;
    };
    const problem = handshakeProblem({ method, header }, this.#options.handshake);
    if (problem !== undefined) {
      refuse(socket, problem.status, problem.text);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#connected(ws, socket, request));
  }

  /** Ends what is left, without a handshake. */
  terminate(): void {
    for (const ws of this.#open) ws.terminate();
  }

  #connected(ws: WebSocket, socket: Duplex, request: IncomingMessage): void {
    this.#open.add(ws);
    const { engine, maxConnections } = this.#options;
    if (engine.sessionCount >= maxConnections) {
      const address = request.socket.remoteAddress;
      engine.logger.debug?.("connection refused", { address, reason: "limits.connections" });
      ws.on("error", () => {});
      ws.on("close", () => this.#open.delete(ws));
      closeSocket(ws, DISCONNECTS.connectionLimit);
      return;
    }
    const offers = request.headers["sec-websocket-protocol"]?.split(",") ?? [];
    const { encoding } = negotiate(offers.map((offer) => offer.trim()));
    const { maxQueueBytes } = this.#options;
    const transport = new SocketTransport(
      ...([ws, socket, this.#flusher, maxQueueBytes, engine.counters] as const),
    );
    const address = request.socket.remoteAddress ?? "";
    const session = engine.accept(transport, this.#options.sessionId(), encoding, { address });
    transport.session = session;
    ws.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) void session.receive(data);
      else if (isPing(data)) transport.pong(engine.clock.now());
      else void session.receive(data.toString("utf8"));
    });
    // The library closes the socket after an error; what matters here is that it ends.
    ws.on("error", () => {});
    ws.on("close", (code) => {
      this.#open.delete(ws);
      session.end(code === NORMAL_CLOSURE || code === NO_CODE, code);
    });
  }
}

/** Codes of a client that means to go; 1001 may be a page that is loaded again. */
const NORMAL_CLOSURE = 1000;
const NO_CODE = 1005;
const PONG = sized("pong", true);

function isPing(data: Buffer): boolean {
  return data.length === 4 && data.toString("latin1") === "ping";
}

class SocketTransport implements Transport, WriterOwner {
  session: Session | undefined;
  readonly #ws: WebSocket;
  readonly #writer: SocketWriter;
  readonly #counters: Counters;
  #heardAt = 0;

  constructor(
    ws: WebSocket,
    socket: Duplex,
    flusher: Flusher,
    maxQueueBytes: number,
    counters: Counters,
  ) {
    this.#ws = ws;
    this.#counters = counters;
    this.#writer = new SocketWriter(socket, flusher, this, maxQueueBytes);
  }

  overrun(): void {
    this.session?.close(DISCONNECTS.slowConsumer);
  }

  write(frame: Parameters<Transport["write"]>[0]): void {
    this.#writer.write(frame);
  }

  close(disconnect: Disconnect): void {
    // Whoever does not read will not read what is queued for it either; the code must not wait there.
    if (disconnect.code === DISCONNECTS.slowConsumer.code) {
      this.#counters.queueDrops += this.#writer.drop();
    }
    this.#writer.finish();
    // The client's answer to the close must be read.
    this.#ws.resume();
    closeSocket(this.#ws, disconnect);
  }

  heard(): number {
    return this.#heardAt;
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Answers the text frame `ping`, which reaches no session. */
  pong(now: number): void {
    this.#heardAt = now;
    this.#writer.write(PONG);
  }
}

function closeSocket(ws: WebSocket, { code, reason }: Disconnect): void {
  ws.close(code, utf8Cut(reason, MAX_REASON_BYTES));
}

function refuse(socket: Duplex, status: number, text: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${text}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n` +
      `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
}
