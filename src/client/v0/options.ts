/** What can be set when dialling. */
import type { Encoding } from "../../protocol/codec.ts";
import { randomUuid } from "../core/cloud-event.ts";
import type { TokenRequest } from "../core/connection.ts";
import type { WebSocketConstructor } from "../core/websocket.ts";

/** Brings a token; null says that there is none any more, which ends the client. */
export type GetToken = (request: TokenRequest) => string | null | Promise<string | null>;

/** Settings of one client, filled in by the `with…` options. */
export interface ClientOptions {
  encoding: Encoding;
  clientId: string;
  clientType: string;
  token: string;
  getToken: GetToken | undefined;
  version: string;
  autoSubscribe: readonly string[];
  /** Milliseconds until `dial` gives up. */
  connectTimeoutMs: number;
  /** Milliseconds until a request without an answer rejects. */
  requestTimeoutMs: number;
  /** Milliseconds until an RPC without an answer rejects. */
  rpcTimeoutMs: number;
  /** Milliseconds from one ping to the next; 0 sends none, undefined as often as the server asks. */
  pingIntervalMs: number | undefined;
  /** Milliseconds that a pong may take. */
  pingTimeoutMs: number;
  /** Subscriptions are no members of presence. */
  ephemeral: boolean;
  webSocket: WebSocketConstructor | undefined;
  /** A connection that is lost comes back. */
  reconnect: boolean;
}

/** Changes one setting. */
export type ClientOption = (options: ClientOptions) => void;

/**
 * The settings of a client: the defaults, changed by each option in its turn, so that of two for one setting the later
 * counts. Each call has a client id of its own.
 *
 * @example
 * buildOptions([withToken("a"), withToken("b")]).token; // "b"
 */
export function buildOptions(options: readonly ClientOption[]): ClientOptions {
  const built: ClientOptions = {
    encoding: "json",
    clientId: randomUuid(),
    clientType: "sdk",
    token: "",
    getToken: undefined,
    version: "1.0.0",
    autoSubscribe: [],
    connectTimeoutMs: 30_000,
    requestTimeoutMs: 10_000,
    // Longer than the server waits for a backend by default, so that its own answer comes first.
    rpcTimeoutMs: 35_000,
    pingIntervalMs: undefined,
    pingTimeoutMs: 10_000,
    ephemeral: false,
    webSocket: undefined,
    reconnect: false,
  };
  for (const option of options) option(built);
  return built;
}

/**
 * JSON text frames (the default) or protobuf binary frames.
 *
 * @example await dial(url, [withEncoding("proto")]);
 */
export function withEncoding(encoding: Encoding): ClientOption {
  return (options) => {
    options.encoding = encoding;
  };
}

/**
 * The client's own name for itself. Other clients see it; it proves nothing. Default: a random UUID.
 *
 * @example await dial(url, [withClientId("ada-laptop")]);
 */
export function withClientId(clientId: string): ClientOption {
  return (options) => {
    options.clientId = clientId;
  };
}

/**
 * What kind of client this is, such as `web`. Default `sdk`.
 *
 * @example await dial(url, [withClientType("web")]);
 */
export function withClientType(clientType: string): ClientOption {
  return (options) => {
    options.clientType = clientType;
  };
}

/**
 * The token that authenticates the user.
 *
 * @example await dial(url, [withToken(token)]);
 */
export function withToken(token: string): ClientOption {
  return (options) => {
    options.token = token;
  };
}

/**
 * What brings tokens, since those of `withToken` end some time: before a connection, unless it was asked less than a minute
 * ago, when a token has expired, and shortly before that on a live connection.
 *
 * @example withGetToken(({ reason }) => fetch(`/token?why=${reason}`).then((answer) => answer.text()))
 */
export function withGetToken(getToken: GetToken): ClientOption {
  return (options) => {
    options.getToken = getToken;
  };
}

/**
 * The application's version. Default `1.0.0`.
 *
 * @example await dial(url, [withVersion("2.3.1")]);
 */
export function withVersion(version: string): ClientOption {
  return (options) => {
    options.version = version;
  };
}

/**
 * Channels to be subscribed when `dial` resolves.
 *
 * @example await dial(url, [withAutoSubscribe("chat.lobby", "news.*")]);
 */
export function withAutoSubscribe(...channels: string[]): ClientOption {
  return (options) => {
    options.autoSubscribe = channels;
  };
}

/**
 * How long `dial` waits for the server, in milliseconds. Default 30,000.
 *
 * @example await dial(url, [withConnectTimeout(5_000)]);
 */
export function withConnectTimeout(ms: number): ClientOption {
  return (options) => {
    options.connectTimeoutMs = ms;
  };
}

/**
 * How long publish, subscribe and unsubscribe wait for their answer, in milliseconds. Default 10,000.
 *
 * @example await dial(url, [withRequestTimeout(5_000)]);
 */
export function withRequestTimeout(ms: number): ClientOption {
  return (options) => {
    options.requestTimeoutMs = ms;
  };
}

/**
 * How long an RPC waits for its answer, in milliseconds. Default 35,000.
 *
 * @example await dial(url, [withRPCTimeout(60_000)]);
 */
export function withRPCTimeout(ms: number): ClientOption {
  return (options) => {
    options.rpcTimeoutMs = ms;
  };
}

/**
 * How often the client pings, in milliseconds; 0 disables it. Default: as often as the server asks.
 *
 * @example await dial(url, [withPingInterval(30_000)]);
 */
export function withPingInterval(ms: number): ClientOption {
  return (options) => {
    options.pingIntervalMs = ms;
  };
}

/**
 * How long a pong may take, in milliseconds, until the connection is taken for lost. Default 10,000. It has a second in any
 * case, so that a timer that comes late is not taken for a pong that does not come.
 *
 * @example await dial(url, [withPingTimeout(5_000)]);
 */
export function withPingTimeout(ms: number): ClientOption {
  return (options) => {
    options.pingTimeoutMs = ms;
  };
}

/**
 * Subscriptions of this client are no members of presence. Default false.
 *
 * @example await dial(url, [withEphemeral(true)]);
 */
export function withEphemeral(ephemeral: boolean): ClientOption {
  return (options) => {
    options.ephemeral = ephemeral;
  };
}

/**
 * The WebSocket to use where the runtime has none of its own (Node before 22: `ws`).
 *
 * @example await dial(url, [withWebSocket(WebSocket)]); // of the package ws
 */
export function withWebSocket(webSocket: WebSocketConstructor): ClientOption {
  return (options) => {
    options.webSocket = webSocket;
  };
}

/**
 * A connection that is lost comes back by itself: the same subscriptions stand, what was missed is recovered, and publishes
 * wait until they can be sent. Without it, as in v0.1.1, a client ends with its connection.
 *
 * `onConnected` is told of each session, `onError` of each loss, `onGap` of messages that cannot be recovered, and
 * `onClosed` of the end: after `close()`, or when the server wants this client to stay away.
 *
 * @example await dial(url, [withReconnect(), withAutoSubscribe("news")]);
 */
export function withReconnect(): ClientOption {
  return (options) => {
    options.reconnect = true;
  };
}
