/** The transport of WebSockets, whatever the runtime. */
import { constructorOf } from "#websocket";
import { MessagingError } from "../../protocol/errors.ts";
import type { Frame } from "../wire/frames.ts";
import type { TransportFactory } from "./ports.ts";
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
    open(url, subprotocol, events) {
      const socket = connect(given, url, subprotocol);
      let over = false;
      let closing: ReturnType<typeof setTimeout> | undefined;
      const end = (code: number, reason: string, fatal = false): void => {
        if (over) return;
        over = true;
        clearTimeout(closing);
        events.ended({ code: code || LOST, reason, fatal });
      };
      const send = (frame: Frame): void => {
        if (socket.readyState === OPEN) socket.send(frame);
      };
      const close = (code: number, reason: string): void => {
        try {
          socket.close(code, reason);
          if (!over) closing ??= setTimeout(() => socket.terminate?.(), CLOSE_TIMEOUT_MS);
        } catch {
          // It was never open, or has an end already.
        }
      };
      socket.binaryType = "arraybuffer";
      // All of them before anything can come: frames that share a packet with the handshake come at once.
      socket.addEventListener("open", () => {
        if (over) return close(1000, "");
        const protocol = socket.protocol ?? subprotocol;
        if (protocol === subprotocol) return events.opened();
        // Some runtimes open without what was asked for, or with something else.
        close(1000, "");
        end(LOST, `subprotocol "${protocol}", not ${subprotocol}`, true);
      });
      socket.addEventListener("message", ({ data }) => {
        if (over) return;
        if (data === "pong") events.alive();
        else events.frame(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data));
      });
      // A close follows, which says more; but in Node 20 and 22 none does where the server is away or says no.
      socket.addEventListener("error", () => {
        if (socket.readyState === CONNECTING) end(LOST, "");
      });
      socket.addEventListener("close", ({ code, reason }) => end(code, reason));
      return { send, close, ping: () => send("ping") };
    },
  };
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
