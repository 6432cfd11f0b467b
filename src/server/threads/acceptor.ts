/**
 * Accepts the connections of one address, and moves each to a thread. A thread that hangs gets no new ones, what waits
 * to be accepted outlives a thread that ends, and there is one count of all. A connection is moved before a byte of it
 * has been read: afterwards the runtime refuses it.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../../engine/ports/platform.ts";
import type { ListenerConfig } from "../config/config.ts";
import { listenOn } from "../transport/listeners.ts";

export interface AcceptorOptions {
  readonly config: ListenerConfig;
  /** Names it in errors. */
  readonly what: string;
  /** Connections beyond this number are cut at once. */
  readonly maxConnections: number;
  readonly logger: Logger;
  /** Moves a connection. Returns whether there was a thread for it. */
  readonly give: (socket: Socket) => boolean;
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #server: Server;
  #connections = 0;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    // A socket has it set by the server that accepts it, and is moved with it.
    this.#server = createServer({ pauseOnConnect: true, noDelay: true });
    this.#server.on("connection", (socket) => this.take(socket));
  }

  /** Connections that have not ended. */
  get connections(): number {
    return this.#connections;
  }

  /** @throws StartError when the address cannot be had. Resolves with the port. */
  async open(): Promise<number> {
    const { config, logger, what } = this.#options;
    await listenOn(this.#server, config, what, logger);
    return (this.#server.address() as AddressInfo).port;
  }

  /** So many of its connections have ended. */
  gone(sockets: number): void {
    this.#connections -= sockets;
  }

  /**
   * Takes a connection as one of its own.
   *
   * @param give moves it. Default as all others
   */
  take(socket: Socket, give = this.#options.give): void {
    const { maxConnections } = this.#options;
    // Until it is moved it is ours, and a client may reset it.
    socket.on("error", () => {});
    if (this.#connections >= maxConnections || !give(socket)) socket.destroy();
    else this.#connections += 1;
  }

  /** Accepts nothing more. */
  close(): void {
    this.#server.close();
  }
}
