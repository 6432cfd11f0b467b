/** The transport of v0.1.1: frames over a WebSocket, for those who speak the protocol themselves. */
import { MessagingError } from "../../protocol/errors.ts";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { systemClock } from "../core/environment.ts";
import type { WebSocketConstructor, WebSocketLike } from "../core/websocket.ts";
import type { Codec } from "./codecs.ts";

/** A way to a server. */
export interface Transport {
  /** @throws Error (as a rejection) `WebSocket is not connected` */
  send(message: InboundMessage): Promise<void>;
  /** What the server says, until the connection ends. */
  recv(): AsyncIterable<OutboundMessage>;
  /** Ends the connection. Resolves when it has ended, after a second at the latest. */
  close(): Promise<void>;
  isConnected(): boolean;
  /** Sets who is told of the end; the last one set wins, as for the other two. */
  onClose(handler: (code?: number) => void): void;
  onMessage(handler: (message: OutboundMessage) => void): void;
  onError(handler: (error: Error) => void): void;
}

/** Makes transports. */
export interface TransportFactory {
  create(): Promise<Transport>;
}

export interface TransportOptions {
  /** Milliseconds until the connection is given up. Default 30,000. */
  readonly timeout?: number;
  /** Where the runtime has no WebSocket of its own. */
  readonly webSocket?: WebSocketConstructor;
}

const OPEN = 1;
const CLOSED = 3;
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Frames over one WebSocket. It does nothing of the protocol by itself.
 *
 * @example
 * const transport = await WebSocketTransport.dial("ws://localhost:9080/ws", jsonCodec);
 * await transport.send(createConnectMessage("ada-laptop", "web", "", "1.0.0"));
 * for await (const frame of transport.recv()) console.log(parseOutboundMessage(frame).type);
 */
export class WebSocketTransport implements Transport {
  readonly #socket: WebSocketLike;
  readonly #codec: Codec;
  readonly #received: OutboundMessage[] = [];
  #ended = false;
  #isClosing = false;
  #onClose: ((code?: number) => void) | undefined;
  #onMessage: ((message: OutboundMessage) => void) | undefined;
  #onError: ((error: Error) => void) | undefined;
  /** Whoever waits for something to happen. */
  #wake = (): void => {};

  /** @param socket open, or still connecting */
  constructor(socket: WebSocketLike, codec: Codec) {
    this.#socket = socket;
    this.#codec = codec;
    socket.binaryType = "arraybuffer";
    this.#ended = socket.readyState === CLOSED;
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("error", () =>
      this.#onError?.(new Error("WebSocket connection failed")),
    );
    socket.addEventListener("close", ({ code }) => {
      if (this.#ended) return;
      this.#ended = true;
      this.#wake();
      this.#onClose?.(code);
    });
  }

  /**
   * Opens a connection.
   *
   * @throws MessagingError (as a rejection) UNAVAILABLE when it fails or takes too long
   */
  static dial(
    url: string,
    codec: Codec,
    { timeout = 30_000, webSocket }: TransportOptions = {},
  ): Promise<WebSocketTransport> {
    const own = globalThis.WebSocket as unknown as WebSocketConstructor;
    const socket = new (webSocket ?? own)(url, [codec.name()]);
    const transport = new WebSocketTransport(socket, codec);
    return new Promise((resolve, reject) => {
      const fail = (text: string): void => {
        cancel();
        transport.close().catch(() => {});
        reject(new MessagingError("UNAVAILABLE", text));
      };
      const cancel = systemClock.after(timeout, () =>
        fail(`WebSocket connection timeout after ${timeout}ms`),
      );
      socket.addEventListener("open", () => {
        cancel();
        resolve(transport);
      });
      socket.addEventListener("close", () => fail("WebSocket connection failed"));
    });
  }

  async send(message: InboundMessage): Promise<void> {
    if (!this.isConnected()) throw new Error("WebSocket is not connected");
    this.#socket.send(this.#codec.encode(message) as string | Uint8Array<ArrayBuffer>);
  }

  async *recv(): AsyncGenerator<OutboundMessage, void, undefined> {
    for (;;) {
      const next = this.#received.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  close(): Promise<void> {
    this.#isClosing = true;
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = systemClock.after(CLOSE_TIMEOUT_MS, () => {
        this.#ended = true;
        this.#wake();
        resolve();
      });
      this.#socket.addEventListener("close", () => {
        cancel();
        resolve();
      });
      this.#socket.close(1000, "Client closing");
    });
  }

  isConnected(): boolean {
    return !this.#isClosing && this.#socket.readyState === OPEN;
  }

  onClose(handler: (code?: number) => void): void {
    this.#onClose = handler;
  }

  onMessage(handler: (message: OutboundMessage) => void): void {
    this.#onMessage = handler;
  }

  onError(handler: (error: Error) => void): void {
    this.#onError = handler;
  }

  #receive(data: unknown): void {
    if (this.#isClosing || data === "pong") return;
    try {
      const frame = data instanceof ArrayBuffer ? new Uint8Array(data) : String(data);
      const message = this.#codec.decode(frame);
      this.#onMessage?.(message);
      // Whoever has a handler takes them there.
      if (this.#onMessage === undefined) this.#received.push(message);
      this.#wake();
    } catch (error) {
      this.#onError?.(MessagingError.from(error));
    }
  }
}
