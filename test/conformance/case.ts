/** A case of the suite: what it shows, what it needs, and how it is run. */
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import {
  Client,
  type ClientSettings,
  type ConnectInit,
  freshChannel,
  KINDS,
  type Kind,
} from "../support/client.ts";

export { KINDS } from "../support/client.ts";

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
  run(context: Context): Promise<void>;
}

export const V1 = KINDS.filter(({ extended }) => !extended);
export const EXTENDED = KINDS.filter(({ extended }) => extended);
/** For cases that are about the server, not about what a client is. */
export const ONE: readonly Kind[] = EXTENDED.slice(0, 1);

export function nameOf({ encoding, extended }: Kind): string {
  return `${encoding} ${extended ? "extended" : "v1"}`;
}

export interface OpenOptions extends Partial<ClientSettings> {
  /** Names to offer instead of the encoding's own. */
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** The node to connect to, where there are several. */
  readonly node?: number;
}

/** One run of a case: makes clients of its kind and closes them at the end. */
export class Context {
  readonly host: Host;
  readonly server: RunningServer;
  readonly kind: Kind;
  /** What was measured on the way, for the report. */
  readonly notes: string[] = [];
  readonly #clients: Client<WebSocket>[] = [];
  #together = false;

  constructor(host: Host, server: RunningServer, kind: Kind) {
    this.host = host;
    this.server = server;
    this.kind = kind;
  }

  /** From now on all clients go to one node: for what is about a node alone. */
  together(): void {
    this.#together = true;
  }

  /** Opens a socket. */
  async open(options: OpenOptions = {}): Promise<Client<WebSocket>> {
    const settings = { ...this.kind, ...options };
    const protocols = options.protocols ?? [codecFor(settings.encoding).subprotocol];
    const { node, spread, url } = this.server;
    const next = spread?.[this.#clients.length % spread.length] ?? url;
    const chosen = options.node ?? (this.#together ? 0 : undefined);
    const address = chosen === undefined ? next : (node?.(chosen) ?? url);
    const socket = new WebSocket(address, [...protocols], { headers: { ...options.headers } });
    const client = new Client<WebSocket>(socket, settings);
    this.#clients.push(client);
    await new Promise<void>((resolve, reject) => {
      socket.on("open", () => resolve());
      socket.on("error", reject);
    });
    return client;
  }

  /** Opens a socket and connects. */
  async client(connect: ConnectInit = {}, options: OpenOptions = {}): Promise<Client<WebSocket>> {
    const client = await this.open(options);
    const reply = await client.connect(connect);
    if (reply.envelope.case !== "connected") throw new Error(`refused: ${reply.envelope.case}`);
    return client;
  }

  /** A connected client that is subscribed. */
  async subscriber(channel: string, options: OpenOptions = {}): Promise<Client<WebSocket>> {
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
  }

  /** @throws Error when a v1 client received what it cannot read. */
  checkViolations(): void {
    const violations = this.#clients.flatMap((client) => client.violations);
    if (violations.length > 0) {
      throw new Error(`K2: a v1 client received: ${violations.slice(0, 3).join("; ")}`);
    }
  }
}
