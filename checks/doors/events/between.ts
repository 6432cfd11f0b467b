/** A network between clients and a host: it can be cut, refuses while the host is away, and sees what is asked. */

import type { AddressInfo } from "node:net";
import { createServer, connect as dial, type Server, type Socket } from "node:net";

/** A request for the events of a channel. */
export interface Asked {
  readonly channel: string;
  /** The position in the header `Last-Event-ID`, and the one in the address. */
  readonly byHeader: string | undefined;
  readonly byAddress: string | undefined;
  /** Of the answer; undefined while there is none. */
  status: number | undefined;
}

const REQUEST = /^GET \/channels\/([^/]+)\/events\?(\S*) HTTP\/1\.1\r\n([\s\S]*?)\r\n\r\n/;

export class Between {
  readonly asked: Asked[] = [];
  /** How many connections there have been. */
  joined = 0;
  readonly #losesPositions: boolean;
  readonly #sockets = new Set<Socket>();
  #mute = false;
  #port = 0;
  #server: Server | undefined;
  #target = { host: "", port: 0 };

  /** @param losesPositions builds in the fault that no position reaches the host */
  constructor(losesPositions: boolean) {
    this.#losesPositions = losesPositions;
  }

  /** Such as `http://127.0.0.1:1234`. */
  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Connects clients with a host, on the same port each time. */
  async open(http: string): Promise<void> {
    const { hostname, port } = new URL(http);
    this.#target = { host: hostname, port: Number(port) };
    const server = createServer((client) => this.#join(client));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Lets nothing that the host says through until connections are cut: what clients say has no answer then. */
  mute(): void {
    this.#mute = true;
  }

  /** Cuts all connections; clients may come back at once. */
  cut(): void {
    this.#mute = false;
    for (const socket of this.#sockets) {
      // Node does not get over a reset of what is being ended: the process would never exit.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  /** Cuts all connections and refuses others. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.cut();
    await closed;
  }

  #join(client: Socket): void {
    this.joined += 1;
    const host = dial(this.#target);
    let last: Asked | undefined;
    client.on("data", (bytes) => {
      last = this.#ask(bytes) ?? last;
      host.write(this.#losesPositions ? withoutPositions(bytes) : bytes);
    });
    host.on("data", (bytes) => {
      if (last !== undefined && last.status === undefined) last.status = statusOf(bytes);
      if (!this.#mute) client.write(bytes);
    });
    for (const [one, other] of [
      [client, host],
      [host, client],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => {});
      one.on("end", () => other.end());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  #ask(bytes: Buffer): Asked | undefined {
    const [, channel, query, headers = ""] = REQUEST.exec(bytes.toString("latin1")) ?? [];
    if (channel === undefined) return undefined;
    const asked = {
      channel: decodeURIComponent(channel),
      byHeader: /^last-event-id: (.*)$/im.exec(headers)?.[1]?.trim(),
      byAddress: new URLSearchParams(query).get("last_event_id") ?? undefined,
      status: undefined,
    };
    this.asked.push(asked);
    return asked;
  }
}

function statusOf(bytes: Buffer): number | undefined {
  const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(bytes.toString("latin1", 0, 16)) ?? [];
  return status === undefined ? undefined : Number(status);
}

function withoutPositions(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  return Buffer.from(text.replace(/last([-_])event\1id/gi, "lost$1event$1id"), "latin1");
}
