/** The side of a SharedWorker: it serves every tab that connects to it. */
import { systemClock } from "../core/environment.ts";
import type { TransportFactory } from "../core/ports.ts";
import { webSocket } from "../core/websocket.ts";
import type { Codec } from "../wire/frames.ts";
import { json } from "../wire/json.ts";
import { Hub } from "./hub/hub.ts";
import { type FromTab, type HubLine, lineOver, type PortLike } from "./line.ts";

export interface ServeTabsOptions {
  /** The way to the server. Default: WebSocket. */
  readonly transport?: TransportFactory;
  /** Codecs that tabs may ask for beside JSON, such as that of `messageloop/protobuf`. */
  readonly encodings?: readonly Codec[];
  /** Milliseconds until an attempt to connect is given up. Default 30,000. */
  readonly connectTimeoutMs?: number;
}

const LOST = 1006;

/**
 * Makes a SharedWorker serve tabs. `messageloop/shared-worker` does this with both encodings over WebSocket; a worker of
 * your own may have another transport.
 *
 * @example
 * import { serveTabs } from "messageloop/shared";
 * serveTabs();
 */
export function serveTabs(options: ServeTabsOptions = {}): void {
  const serve = tabServer(options);
  addEventListener("connect", (event) => {
    const [port] = (event as unknown as { readonly ports: readonly PortLike[] }).ports;
    if (port !== undefined) serve(lineOver(port));
  });
}

/** Serves tabs over lines: one hub for each address and encoding. */
export function tabServer({
  transport = webSocket(),
  encodings = [],
  connectTimeoutMs = 30_000,
}: ServeTabsOptions): (line: HubLine) => void {
  const hubs = new Map<string, Hub>();
  return (line) => {
    const handlers: ((message: FromTab) => void)[] = [];
    line.receive((message) => {
      const [handler] = handlers;
      if (handler !== undefined) handler(message);
      else if (message.kind === "open") {
        const { url, subprotocol } = message;
        const codec = [json, ...encodings].find((one) => one.subprotocol === subprotocol);
        if (codec === undefined) {
          const reason = `the worker was not given the encoding ${subprotocol}`;
          line.send({ kind: "ended", code: LOST, reason, fatal: true, retryAfterMs: 0 });
          return;
        }
        const key = `${subprotocol} ${url}`;
        let hub = hubs.get(key);
        if (hub === undefined) {
          const terms = { url, codec, transport, connectTimeoutMs };
          hub = new Hub({ ...terms, clock: systemClock });
          hubs.set(key, hub);
        }
        hub.attach({ ...line, receive: (taker) => handlers.push(taker) });
        handlers[0]?.(message);
      }
    });
  };
}
