/** The way to a server, which a test cuts as it likes. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { settledPort } from "./ports.ts";

export class Link {
  /** Such as `http://127.0.0.1:1234`. */
  readonly origin: string;
  readonly #port: number;
  readonly #target: number;
  readonly #open = new Set<Socket>();
  #server: Server | undefined;

  /** @param target port of the server on this machine */
  static async to(target: number): Promise<Link> {
    const link = new Link(await settledPort("serve"), target);
    await link.up();
    return link;
  }

  private constructor(port: number, target: number) {
    this.#port = port;
    this.#target = target;
    this.origin = `http://127.0.0.1:${port}`;
  }

  /** Ends all connections without a word. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** The same, and refuses those that come from now on. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    this.cut();
    await closed;
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((socket) => {
      const behind = connect({ host: "localhost", port: this.#target });
      for (const [one, other] of [
        [socket, behind],
        [behind, socket],
      ] as const) {
        this.#open.add(one);
        one.on("error", () => {});
        one.once("close", () => {
          this.#open.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
  }
}
