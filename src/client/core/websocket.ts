/** The transport of WebSockets, whatever the runtime. */
import { constructorOf } from "#websocket";
import { MessagingError } from "../../protocol/errors.ts";
import type { Frame } from "../wire/frames.ts";
import type { Transport, TransportEvents, TransportFactory } from "./ports.ts";
import type { WebSocketConstructor, WebSocketLike } from "./websockets/websocket-like.ts";

export type { WebSocketConstructor, WebSocketLike };

const CONNECTING = 0;
const OPEN = 1;
/** How long a peer may take to answer a close, where the runtime would let it keep the process alive. */
const CLOSE_TIMEOUT_MS = 1_000;
/** What a WebSocket reports when no close frame came; Deno says 0. */
const LOST = 1006;

/**
 * WebSockets of the runtime, or of the given constructor.
 *
 * @example
 * import { WebSocket } from "ws";
 * await dial(url, { transport: webSocket(WebSocket) });
 */
export function webSocket(given?: WebSocketConstructor): TransportFactory {
  return {
    name: "websocket",
    open: (url, subprotocol, events) =>
      new WebSocketTransport(connect(given, url, subprotocol), subprotocol, events),
  };
}

class WebSocketTransport implements Transport {
  readonly #socket: WebSocketLike;
  readonly #events: TransportEvents;
  #isOver = false;
  #closing: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: WebSocketLike, subprotocol: string, events: TransportEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.binaryType = "arraybuffer";
    // All of them before anything can come: frames that share a packet with the handshake come at once.
    socket.addEventListener("open", () => {
      if (this.#isOver) return this.close(1000, "");
      const protocol = socket.protocol ?? subprotocol;
      if (protocol === subprotocol) return events.opened();
      // Some runtimes open without what was asked for, or with something else.
      this.close(1000, "");
      this.#end(LOST, `subprotocol "${protocol}", not ${subprotocol}`, true);
    });
    // A method that all clients share: an engine compiles it once.
    socket.addEventListener("message", this.#message.bind(this));
    // A close follows, which says more; but in Node 20 and 22 none does where the server is away or says no.
    socket.addEventListener("error", () => {
      if (socket.readyState === CONNECTING) this.#end(LOST, "");
    });
    socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
  }

  send(frame: Frame): void {
    if (this.#socket.readyState === OPEN) this.#socket.send(frame);
  }

  ping(): void {
    this.send("ping");
  }

  close(code: number, reason: string): void {
    const socket = this.#socket;
    try {
      socket.close(code, reason);
      if (this.#isOver) return;
      this.#closing ??= setTimeout(() => socket.terminate?.(), CLOSE_TIMEOUT_MS);
    } catch {
      // It was never open, or has an end already.
    }
  }

  #message({ data }: { readonly data: unknown }): void {
    if (this.#isOver) return;
    if (data === "pong") this.#events.alive();
    else this.#events.frame(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data));
  }

  #end(code: number, reason: string, fatal = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#closing);
    this.#events.ended({ code: code || LOST, reason, fatal });
  }
}

function connect(
  given: WebSocketConstructor | undefined,
  url: string,
  subprotocol: string,
): WebSocketLike {
  const WebSocketClass = constructorOf(given);
  if (!WebSocketClass) throw new MessagingError("UNAVAILABLE", "no WebSocket: pass that of ws");
  try {
    // A page may name a path alone.
    const address = new URL(url, globalThis.location?.href);
    address.protocol = address.protocol.replace("http", "ws");
    return new WebSocketClass(address.href, [subprotocol]);
  } catch (cause) {
    throw new MessagingError("BAD_REQUEST", `${url} is no WebSocket URL`, { cause });
  }
}
