/** The transport of WebSockets, whatever the runtime. */
import { MessagingError } from "../../protocol/errors.ts";
import type { Frame } from "../wire/frames.ts";
import type { Transport, TransportEvents, TransportFactory } from "./ports.ts";

/** A WebSocket constructor: the global one, or that of the `ws` package on Node before 22. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** The part of a WebSocket that the SDK uses. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  /** Null in Workers. */
  readonly protocol?: string | null | undefined;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Of the `ws` package: ends it without the other side. */
  terminate?(): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { code: number; reason: string }) => void,
  ): void;
}

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
    open: (url, subprotocol, events) => open(given ?? ownConstructor(), url, subprotocol, events),
  };
}

function ownConstructor(): WebSocketConstructor {
  const own = globalThis.WebSocket as unknown as WebSocketConstructor | undefined;
  if (own) return own;
  throw new MessagingError("UNAVAILABLE", "no WebSocket here: pass one, such as that of ws");
}

function open(
  WebSocketClass: WebSocketConstructor,
  url: string,
  subprotocol: string,
  events: TransportEvents,
): Transport {
  let terminate = (): void => socket.terminate?.();
  const socket = connect(WebSocketClass, url, subprotocol, (raw) => {
    terminate = () => raw.destroy();
  });
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
      if (!over) closing ??= setTimeout(() => terminate(), CLOSE_TIMEOUT_MS);
    } catch {
      // It was never open, or has an end already.
    }
  };
  socket.binaryType = "arraybuffer";
  // All of them before anything can come: what shares a packet with the handshake is told at once.
  socket.addEventListener("open", () => {
    if (over) return close(1000, "");
    const { protocol = subprotocol } = socket;
    if (protocol === subprotocol || protocol === null) return events.opened();
    // Some runtimes open without what was asked for, or with something else.
    close(1000, "wrong subprotocol");
    end(LOST, `the server answered with subprotocol "${protocol}", not ${subprotocol}`, true);
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
}

/** @param opened is given the TCP socket, on Node */
function connect(
  WebSocketClass: WebSocketConstructor,
  url: string,
  subprotocol: string,
  opened: (raw: RawSocket) => void,
): WebSocketLike {
  try {
    // A page may name a path alone.
    const address = new URL(url, globalThis.location?.href);
    address.protocol = address.protocol.replace("http", "ws");
    const isNode = globalThis.navigator?.userAgent?.startsWith("Node.js");
    const protocols = [subprotocol];
    if (!isNode || WebSocketClass !== (globalThis.WebSocket as unknown)) {
      return new WebSocketClass(address.href, protocols);
    }
    // Node's own WebSocket has no way to give up a peer that answers no close, and the process would never end.
    const options = { protocols, dispatcher: dispatcher(opened) };
    return new WebSocketClass(address.href, options as never);
  } catch (cause) {
    throw new MessagingError("BAD_REQUEST", `${url} is no WebSocket URL`, { cause });
  }
}

/** A TCP socket of Node. */
interface RawSocket {
  destroy(): void;
}

/** What undici, which Node's WebSocket is made of, sends a request with. */
interface Dispatcher {
  dispatch(options: unknown, handler: UpgradeHandler): boolean;
}

/** The part of it that is told of an upgrade, by a name that differs by version. The socket comes last. */
type UpgradeHandler = Partial<
  Record<"onUpgrade" | "onRequestUpgrade", (...terms: unknown[]) => unknown>
>;

/** The dispatcher of all requests, which shows the socket of this one. */
function dispatcher(opened: (raw: RawSocket) => void): Dispatcher {
  return {
    dispatch(options, handler) {
      // Its name ends with a number that differs by version.
      const name = Object.getOwnPropertySymbols(globalThis).findLast(({ description }) =>
        description?.startsWith("undici.globalDispatcher"),
      );
      const shared = name && (globalThis as unknown as Record<symbol, Dispatcher>)[name];
      for (const name of ["onUpgrade", "onRequestUpgrade"] as const) {
        const told = handler[name];
        if (!told) continue;
        handler[name] = (...terms) => {
          opened(terms.at(-1) as RawSocket);
          return told.apply(handler, terms);
        };
      }
      return shared?.dispatch(options, handler) ?? false;
    },
  };
}
