/** The ways to a server that the clients of a life have. */
import { Agent, fetch } from "undici";
import { WebSocket } from "ws";
import {
  connectStream,
  eventStream,
  type Fetch,
  type FetchAnswer,
} from "../../src/client/stream/index.ts";
import { type TransportFactory, type WebSocketConstructor, webSocket } from "../../src/index.ts";
import { API_KEY } from "../../test/conformance/keys.ts";
import { STREAM_HEARTBEAT_MS } from "../../test/history/channels.ts";
import { pacedClock } from "./paced-clock.ts";

export interface Way {
  readonly name: string;
  /** It can subscribe, and neither publish nor ask, and speaks JSON. */
  readonly readsOnly: boolean;
  /** @param url where the client connects */
  transport(url: string): TransportFactory;
}

/** How many times faster than the machine's the time of event streams passes, which have to be told what heartbeats to expect. */
const EVENTS_PACE = 10;
/** The same of Connect streams, whose heartbeats the server names in the machine's time: they may miss two of them. */
const CALLS_PACE = 2;

/** WebSockets of Node and of `ws`. */
export const WEB_SOCKETS: readonly Way[] = [
  { name: "WebSocket", readsOnly: false, transport: () => webSocket() },
  {
    name: "ws",
    readsOnly: false,
    transport: () => webSocket(WebSocket as unknown as WebSocketConstructor),
  },
];

export const STREAMS: readonly Way[] = [
  {
    name: "connectStream",
    readsOnly: false,
    transport: (url) => connectStream({ fetch: fetchLike(url), clock: pacedClock(CALLS_PACE) }),
  },
  {
    name: "eventStream",
    readsOnly: true,
    transport: (url) =>
      eventStream({
        key: API_KEY,
        fetch: fetchLike(url),
        clock: pacedClock(EVENTS_PACE),
        heartbeatMs: STREAM_HEARTBEAT_MS * EVENTS_PACE,
      }),
  },
];

/** Calls with the query of the client's own URL, by which the proxy knows whose they are. */
function fetchLike(url: string): Fetch {
  const { searchParams } = new URL(url);
  const calls = new Agent();
  return async (address, init): Promise<FetchAnswer> => {
    const target = new URL(address);
    for (const [name, value] of searchParams) target.searchParams.set(name, value);
    // Each stream has a connection of its own, as with HTTP/1.1 in a browser, and calls share one.
    const dispatcher = target.pathname.endsWith("/Send")
      ? calls
      : new Agent({ keepAliveTimeout: 1 });
    return await fetch(target, { ...init, dispatcher });
  };
}
