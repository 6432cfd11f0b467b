/** WebSocket connections: the handshake, frames in, and how many there may be. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { background } from "../../engine/background.ts";
import { retryAfterSeconds } from "../../http/app.ts";
import { type HandshakeRules, handshakeProblem } from "../../http/handshake.ts";
import { negotiate } from "../../protocol/codec.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import type { TrustedProxies } from "./client-address.ts";
import type { Entrance } from "./connections.ts";
import { agreement } from "./deflate/agreement.ts";
import { Inflater } from "./deflate/inflater.ts";
import { closeSocket, SocketTransport } from "./socket-transport.ts";
import { FrameReader, Turns } from "./turn-taking.ts";
import { headerOf, refuse } from "./upgrades.ts";
import { Flusher, type WriterTerms } from "./writer.ts";

/** How long a peer may take to answer a close frame, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;
/** What the library takes beyond the limit, so that the session can say why it refuses. */
const SIZE_MARGIN_BYTES = 64 * 1024;
/** Parts that a message may come in. Each takes memory of its own, however small it is. */
const MAX_FRAGMENTS = 1_024;
/** Reads that a frame may come in. */
const MAX_CHUNKS = 4_096;

export interface SocketsOptions extends Entrance {
  readonly handshake: HandshakeRules;
  /** Whether frames are compressed for clients that offer it. */
  readonly compression: boolean;
  readonly proxies: TrustedProxies;
  /** Whether addresses of clients are used. Otherwise the system need not be asked for them. */
  readonly locates: boolean;
}

export class Sockets {
  readonly #options: SocketsOptions;
  readonly #server: WebSocketServer;
  readonly #flusher = new Flusher();
  readonly #turns = new Turns();
  readonly #open = new Map<WebSocket, Duplex>();
  /** What has been agreed on about compression. */
  readonly #agreements = new WeakMap<IncomingMessage, string>();
  readonly #plain: WriterTerms;
  readonly #compressing: WriterTerms;

  constructor(options: SocketsOptions) {
    const { maxQueueBytes } = options;
    this.#options = options;
    this.#plain = { maxQueueBytes, compresses: false };
    this.#compressing = { maxQueueBytes, compresses: true };
    // The library's types do not know all of them yet, so the options are no literal of the call.
    const settings = {
      noServer: true,
      clientTracking: false,
      // The library compresses each frame once for each client, and keeps a window for each.
      perMessageDeflate: false,
      // An answer of the library would pass by the queue.
      autoPong: false,
      maxPayload: options.engine.settings.maxMessageBytes + SIZE_MARGIN_BYTES,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_CHUNKS,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (offers: Set<string>) => negotiate([...offers]).subprotocol ?? false,
    };
    this.#server = new WebSocketServer(settings);
    this.#server.on("headers", (headers, request) => {
      const agreed = this.#agreements.get(request);
      if (agreed !== undefined) headers.push(`Sec-WebSocket-Extensions: ${agreed}`);
    });
  }

  /** Takes an upgrade of the HTTP server. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { compression, connections, handshake } = this.#options;
    const { method = "" } = request;
    const header = (name: string): string | null => headerOf(request, name);
    const problem = handshakeProblem({ method, header }, handshake);
    if (problem !== undefined) {
      const { status, reason } = problem;
      this.#noteRefusal(request, status, reason);
      refuse(socket, status, problem.text, { "Sec-WebSocket-Version": "13" });
      return;
    }
    if (connections.full) {
      this.#noteRefusal(request, 503, "more than twice limits.connections");
      refuse(socket, 503, "Service Unavailable", { "Retry-After": `${retryAfterSeconds()}` });
      return;
    }
    const agreed = compression ? agreement(header("Sec-WebSocket-Extensions") ?? "") : undefined;
    if (agreed !== undefined) this.#agreements.set(request, agreed);
    // The library wants no other protocol beside its own.
    request.headers.upgrade = "websocket";
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#connected(ws, socket, request));
  }

  #noteRefusal(request: IncomingMessage, status: number, reason: string): void {
    const { proxies, logger } = this.#options;
    const address = proxies.clientOf(request.socket.remoteAddress, request.headers);
    logger.debug?.("upgrade refused", { address, status, reason });
  }

  /** Ends what is left, without a handshake. */
  terminate(): void {
    for (const ws of this.#open.keys()) ws.terminate();
  }

  /** Ends, without waiting for their answer, those whose last byte has left the process. */
  terminateFlushed(): void {
    for (const [ws, socket] of this.#open) {
      if (socket.writableLength === 0) ws.terminate();
    }
  }

  #connected(ws: WebSocket, socket: Duplex, request: IncomingMessage): void {
    const { engine, connections, proxies, locates, logger } = this.#options;
    this.#open.set(ws, socket);
    connections.enter();
    ws.on("close", () => {
      this.#open.delete(ws);
      connections.leave();
    });
    // The library closes the socket after an error; what matters here is that it ends.
    ws.on("error", () => {});
    const address = locates ? proxies.clientOf(request.socket.remoteAddress, request.headers) : "";
    if (!connections.admit()) {
      logger.debug?.("connection refused", { address, reason: "limits.connections" });
      closeSocket(ws, DISCONNECTS.connectionLimit);
      return;
    }
    const offers = request.headers["sec-websocket-protocol"]?.split(",") ?? [];
    const { encoding } = negotiate(offers.map((offer) => offer.trim()));
    const agreed = this.#agreements.has(request);
    const { maxMessageBytes } = engine.settings;
    const inflater = agreed
      ? new Inflater(this.#turns, maxMessageBytes, (code) => {
          if (code === DISCONNECTS.messageTooBig.code) session.close(DISCONNECTS.messageTooBig);
          else ws.close(code);
        })
      : undefined;
    inflater?.attach(ws);
    const terms = agreed ? this.#compressing : this.#plain;
    const pair = { ws, socket, inflater };
    const transport = new SocketTransport(pair, this.#flusher, terms, engine.counters);
    const session = engine.accept(transport, this.#options.sessionId(), encoding, { address });
    transport.session = session;
    const reader = new FrameReader(this.#turns, transport, (frame) => {
      background(session.receive(frame), logger, "frame of a client");
    });
    const heard = (): void => transport.hear(engine.steadyNow());
    ws.on("message", (data: Buffer, isBinary: boolean) => {
      if (!isBinary && isPing(data)) {
        heard();
        transport.pong();
        return;
      }
      reader.receive(isBinary ? data : data.toString("utf8"));
    });
    ws.on("ping", (data: Buffer) => {
      heard();
      transport.pongFrame(data);
    });
    ws.on("pong", heard);
    ws.on("close", (code) => {
      // What was sent before it was sent to be taken.
      reader.finish();
      session.end(code === NORMAL_CLOSURE || code === NO_CODE, code);
    });
  }
}

/** Codes of a client that means to go; 1001 may be a page that is loaded again. */
const NORMAL_CLOSURE = 1000;
const NO_CODE = 1005;

function isPing(data: Buffer): boolean {
  return data.length === 4 && data.toString("latin1") === "ping";
}
