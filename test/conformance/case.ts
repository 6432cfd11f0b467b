/** A case of the suite: what it shows, what it needs, and how it is run. */
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import {
  Client,
  type ClientSettings,
  COMPACT,
  type ConnectInit,
  freshChannel,
  KINDS,
  type Kind,
  type SocketLike,
} from "../support/client.ts";

export { COMPACT, KINDS } from "../support/client.ts";

import { EventClient, type EventsAsked } from "../support/event-client.ts";
import { OpenSocket } from "../support/open-socket.ts";
import { seed, seededRandom } from "../support/random.ts";
import type { Host, RunningServer, ServerStats } from "./host.ts";
import type { Variant } from "./variants.ts";

export interface Case {
  /** Ids of the rules in SPEC.md that it shows. */
  readonly rules: readonly string[];
  readonly title: string;
  /** Kinds of clients it is run with; all four by default. */
  readonly kinds?: readonly Kind[];
  /** The server it needs; by default one without a backend, with default settings. */
  readonly server?: Variant;
  /**
   * What the server must show; without it the case is not run, and the report says so. Cases with
   * `grpc` are for hosts that have bidirectional streams.
   */
  readonly observes?: readonly ("stats" | "memory" | "nodes" | "grpc")[];
  /**
   * What it is about: a WebSocket itself, what can be said over one only (another first frame than connect, what is no
   * JSON, a goodbye) or how one is slowed down; or Open and Send. Default neither: then it is run over both.
   */
  readonly over?: Way;
  run(context: Context): Promise<void>;
}

/** The way that a client's messages take. */
export type Way = "websocket" | "open";

export const V1 = KINDS.filter(({ extended }) => !extended);
export const EXTENDED = KINDS.filter(({ extended }) => extended);
/** For cases that are about what is delivered, and in which frames. */
export const DELIVERED: readonly Kind[] = [...KINDS, ...COMPACT];
export const EXTENDED_DELIVERED: readonly Kind[] = [...EXTENDED, ...COMPACT];
/** For cases that are about the server, not about what a client is. */
export const ONE: readonly Kind[] = EXTENDED.slice(0, 1);

export function nameOf({ encoding, extended, compact }: Kind): string {
  const kind = compact === true ? "compact" : "extended";
  return `${encoding} ${extended ? kind : "v1"}`;
}

/** What cases may do to a connection, whichever it is. */
export interface TestSocket extends SocketLike {
  terminate(): void;
}

export interface OpenOptions extends Partial<Omit<ClientSettings, "onBytes">> {
  /** Names to offer instead of the encoding's own. */
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** The node to connect to, where there are several. */
  readonly node?: number;
}

/** A WebSocket may be one whose frames are only counted. */
export type WebSocketOptions = OpenOptions & Pick<ClientSettings, "onBytes">;

/** One run of a case: makes clients of its kind and closes them at the end. */
export class Context {
  readonly host: Host;
  readonly server: RunningServer;
  readonly kind: Kind;
  readonly way: Way;
  /** What was measured on the way, for the report. */
  readonly notes: string[] = [];
  readonly #clients: Client<TestSocket>[] = [];
  readonly #readers: EventClient[] = [];
  #together = false;

  constructor(host: Host, server: RunningServer, kind: Kind, way: Way = "websocket") {
    this.host = host;
    this.server = server;
    this.kind = kind;
    this.way = way;
  }

  /** From now on all clients go to one node: for what is about a node alone. */
  together(): void {
    this.#together = true;
  }

  /** Opens a connection. */
  async open(options: OpenOptions = {}): Promise<Client<TestSocket>> {
    return this.way === "open" ? this.stream(options) : await this.webSocket(options);
  }

  /** A client of Open and Send, whose calls are disturbed on their way. It connects with its first frame. */
  stream(options: OpenOptions = {}): Client<OpenSocket> {
    const settings = { ...this.kind, ...options };
    const { encoding, headers = {} } = settings;
    const { spread, url } = this.server;
    const faults = seededRandom(seed() + this.#clients.length);
    const sendTo = (spread ?? [url]).map((address) => new URL(httpOf(address)).origin);
    const socket = new OpenSocket(new URL(httpOf(this.#address(options))).origin, {
      encoding,
      headers,
      sendTo,
      faults,
    });
    const client = new Client(socket, settings);
    this.#clients.push(client);
    return client;
  }

  /** Reads a channel, or those of a pattern, as server-sent events. */
  async events(channel: string, { query, headers = {} }: EventsAsked): Promise<EventClient> {
    const { node, spread, url } = this.server;
    const next = spread?.[this.#readers.length % spread.length] ?? url;
    const address = new URL(httpOf(this.#together ? (node?.(0) ?? url) : next));
    // As on the Worker's host, where one gateway is chosen by the query of a WebSocket's address.
    const gateway = address.searchParams.get("gateway");
    const reader = await EventClient.open(address.origin, channel, {
      ...(query === undefined ? {} : { query }),
      headers: { ...headers, ...(gateway === null ? {} : { "Test-Gateway": gateway }) },
    });
    this.#readers.push(reader);
    return reader;
  }

  /** Where requests over HTTP go. */
  get origin(): string {
    return new URL(httpOf(this.server.url)).origin;
  }

  /** Opens a WebSocket. */
  async webSocket(options: WebSocketOptions = {}): Promise<Client<WebSocket>> {
    const settings = { ...this.kind, ...options };
    const protocols = options.protocols ?? [codecFor(settings.encoding).subprotocol];
    const headers = { ...options.headers };
    // The proxy of wrangler dev compresses for each client that offers it, and would take most of the time of a load.
    const offers = options.onBytes === undefined;
    const perMessageDeflate = this.server.compresses ? { threshold: 0 } : offers;
    const socket = new WebSocket(this.#address(options), [...protocols], {
      headers,
      perMessageDeflate,
    });
    const client = new Client<WebSocket>(socket, settings);
    this.#clients.push(client);
    if (options.onBytes !== undefined) {
      socket.on("message", (bytes) => client.take(bytes as Buffer));
    }
    await new Promise<void>((resolve, reject) => {
      socket.on("open", () => resolve());
      socket.on("error", reject);
    });
    if (this.server.compresses && socket.extensions === "") throw new Error("nothing is agreed");
    return client;
  }

  #address(options: OpenOptions): string {
    const { node, spread, url } = this.server;
    const chosen = options.node ?? (this.#together ? 0 : undefined);
    if (chosen !== undefined) return node?.(chosen) ?? url;
    return spread?.[this.#clients.length % spread.length] ?? url;
  }

  /** Opens a connection and connects. */
  async client(connect: ConnectInit = {}, options: OpenOptions = {}): Promise<Client<TestSocket>> {
    const client = await this.open(options);
    const reply = await client.connect(connect);
    if (reply.envelope.case !== "connected") throw new Error(`refused: ${reply.envelope.case}`);
    return client;
  }

  /** A connected client that is subscribed. */
  async subscriber(channel: string, options: OpenOptions = {}): Promise<Client<TestSocket>> {
    return await this.client({ subscriptions: [{ channel }] }, options);
  }

  channel(prefix?: string): string {
    return freshChannel(prefix);
  }

  /** Where streams are served. A host that has them must say where. */
  get grpc(): string {
    if (this.server.grpc === undefined) throw new Error("the server has no address for streams");
    return this.server.grpc;
  }

  async stats(): Promise<ServerStats> {
    if (this.server.stats === undefined) throw new Error("the server cannot be observed");
    return await this.server.stats();
  }

  /** Cuts every connection of the run. */
  terminate(): void {
    for (const { socket } of this.#clients) socket.terminate();
    for (const reader of this.#readers) reader.cut();
  }

  /** @throws Error when a client received what it cannot read. */
  checkViolations(): void {
    const violations = this.#clients.flatMap((client) => client.violations);
    if (violations.length > 0) {
      throw new Error(`K2, K8: a client received: ${violations.slice(0, 3).join("; ")}`);
    }
  }
}

/** The address over HTTP of what has one of WebSocket. */
function httpOf(url: string): string {
  return url.replace(/^ws/, "http");
}
