/**
 * A proxy for HTTP before a server, with the ways of real ones: it lets no WebSocket through, loses answers and cuts
 * connections.
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";

/** What becomes of the wish for a WebSocket. */
export type Upgrades =
  | "pass"
  /** Answered with 403. */
  | "refuse"
  /** The connection ends without an answer. */
  | "drop"
  /** Nothing is ever answered. */
  | "swallow"
  /** The WebSocket opens, and nothing comes through it. */
  | "deafen";

export class HttpProxy {
  upgrades: Upgrades = "pass";
  /** So many of the next answers to calls whose path ends so are lost, after the server has done what they ask for. */
  losing: { path: string; times: number } = { path: "", times: 0 };
  /** Paths that were asked for, `upgrade` for those of WebSockets. */
  readonly asked: string[] = [];
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  /** @param target port of the server on this machine */
  static async to(target: number): Promise<HttpProxy> {
    const proxy = new HttpProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => this.#pass(incoming, outgoing));
    this.#server.on("connection", (socket) => this.#keep(socket));
    this.#server.on("upgrade", (incoming, socket, head) => this.#upgrade(incoming, socket, head));
  }

  /** Such as `http://127.0.0.1:1234`. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends all connections without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { url = "", method, headers } = incoming;
    this.asked.push(url);
    const behind = request({
      ...{ host: "127.0.0.1", port: this.#target, path: url, method, headers, agent: false },
    });
    const { socket } = incoming;
    outgoing.on("close", () => behind.destroy());
    behind.on("error", () => socket.destroy());
    behind.on("response", (answer) => {
      answer.on("error", () => socket.destroy());
      if (this.losing.times > 0 && url.endsWith(this.losing.path)) {
        this.losing.times -= 1;
        // Only when all of it has been done.
        answer.resume().on("end", () => socket.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    incoming.pipe(behind);
  }

  #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.asked.push("upgrade");
    if (this.upgrades === "refuse") {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else if (this.upgrades === "drop") socket.destroy();
    else if (this.upgrades !== "swallow") this.#tunnel(incoming, socket, head);
  }

  #tunnel({ url = "", rawHeaders }: IncomingMessage, socket: Duplex, head: Buffer): void {
    const behind = connect({ host: "127.0.0.1", port: this.#target });
    this.#keep(behind);
    const lines = [`GET ${url} HTTP/1.1`];
    for (let i = 0; i < rawHeaders.length; i += 2)
      lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
    behind.write(`${lines.join("\r\n")}\r\n\r\n`);
    behind.write(head);
    behind.pipe(socket);
    if (this.upgrades === "pass") socket.pipe(behind);
    else socket.resume();
    socket.on("close", () => behind.destroy());
    behind.on("close", () => socket.destroy());
  }
}
