/**
 * The way to a server, which fails as networks do: it cuts connections, also in the middle of a frame, makes them deaf in one
 * direction or in both while they stay open, delays them, and says what a server says before it closes.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Encoding } from "../../src/protocol/codec.ts";
import { type Ends, FrameEnds } from "./frame-ends.ts";
import { settledPort } from "./ports.ts";
import { StreamEnds } from "./stream-ends.ts";

/** A connection that somebody has tried to make. */
export interface Attempt {
  /** The name in the query of its URL. */
  readonly who: string;
  /** What it is for. */
  readonly line: Line;
  /** When it came, by `performance.now`. */
  readonly at: number;
}

/** What becomes of connections that come: `holds` lets them wait for another way. */
export type Way = "open" | "holds" | "refuses" | "silent";

/** What a connection is for, as its first request says: `calls` are those of `Send`, one after the other. */
export type Line = "websocket" | "connect-stream" | "event-stream" | "calls";

/** How long a connection is waited for that should say something before it ends, in milliseconds. */
const PATIENCE_MS = 500;

export class FaultProxy {
  readonly attempts: Attempt[] = [];
  #way: Way = "open";
  /** Lead on those that wait. */
  #held: (() => void)[] = [];
  /** Is told of each attempt. */
  attempted: (attempt: Attempt) => void = () => {};
  readonly #port: number;
  readonly #server: Server;
  readonly #target: (who: string) => number;
  readonly #crossings = new Set<Crossing>();
  readonly #sockets = new Set<Socket>();

  /** @param target port of the server on this machine that a client is led to */
  static async to(target: (who: string) => number): Promise<FaultProxy> {
    const proxy = new FaultProxy(await settledPort("serve"), target);
    proxy.#server.listen({ port: proxy.#port, host: "127.0.0.1", backlog: 2_048 });
    await once(proxy.#server, "listening");
    return proxy;
  }

  private constructor(port: number, target: (who: string) => number) {
    this.#port = port;
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
  }

  get way(): Way {
    return this.#way;
  }

  set way(way: Way) {
    this.#way = way;
    if (way !== "holds") for (const lead of this.#held.splice(0)) lead();
  }

  /** Where a client of this name connects. */
  url(who: string, path = "/ws"): string {
    const url = new URL(path, `http://127.0.0.1:${this.#port}`);
    url.searchParams.set("who", who);
    return url.href;
  }

  /** The connections of a client, or of all, the last one at the end. */
  crossings(who?: string): readonly Crossing[] {
    return [...this.#crossings].filter((crossing) => who === undefined || crossing.who === who);
  }

  async close(): Promise<void> {
    this.way = "refuses";
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const crossing of this.#crossings) crossing.cut();
    // Also those that have said nothing yet.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #take(socket: Socket): void {
    const at = performance.now();
    socket.on("error", () => {});
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Who has come is not known before it has said so.
    socket.once("data", (head: Buffer) => {
      const opening = openingOf(head);
      this.#note({ who: opening.who, line: opening.line, at });
      if (this.#way === "holds") this.#held.push(() => this.#lead(opening, head, socket));
      else this.#lead(opening, head, socket);
    });
  }

  #lead(opening: Opening, head: Buffer, socket: Socket): void {
    if (socket.destroyed) return;
    if (this.#way === "refuses") {
      socket.resetAndDestroy();
      return;
    }
    const crossing = new Crossing(opening, head, socket, this.#target(opening.who));
    if (this.#way === "silent") crossing.hush("both");
    this.#crossings.add(crossing);
    socket.once("close", () => this.#crossings.delete(crossing));
  }

  #note(attempt: Attempt): void {
    this.attempts.push(attempt);
    this.attempted(attempt);
  }
}

/** The first request of a connection. */
interface Opening {
  readonly who: string;
  readonly line: Line;
  readonly encoding: Encoding;
}

function openingOf(bytes: Buffer): Opening {
  const head = bytes.toString("latin1");
  const [first = ""] = head.split("\r\n", 1);
  const path = /^\S+ ([^? ]*)/.exec(first)?.[1] ?? "";
  const who = decodeURIComponent(/[?&]who=([^& ]*)/.exec(first)?.[1] ?? "");
  const [, asked = ""] =
    /^(?:sec-websocket-protocol|content-type): *(?:messageloop|application\/connect)\+(\w+)/im.exec(
      head,
    ) ?? [];
  return { who, line: lineOf(path), encoding: asked === "proto" ? "proto" : "json" };
}

function lineOf(path: string): Line {
  if (path.endsWith("/Open")) return "connect-stream";
  if (path.endsWith("/Send")) return "calls";
  return path.endsWith("/events") ? "event-stream" : "websocket";
}

/** One connection through the proxy. */
export class Crossing {
  readonly who: string;
  readonly line: Line;
  /** Of its messages. */
  readonly encoding: Encoding;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #ends: Ends;
  /** Goes to the client where the frame that is on its way ends. */
  #last: Buffer | undefined;
  #told = (): void => {};
  #over = false;

  constructor({ who, line, encoding }: Opening, head: Buffer, client: Socket, target: number) {
    this.who = who;
    this.line = line;
    this.encoding = encoding;
    this.#ends = line === "websocket" ? new FrameEnds() : new StreamEnds();
    this.#client = client;
    const server = connect({ host: "127.0.0.1", port: target, allowHalfOpen: true });
    this.#server = server;
    this.#up = new Lane((chunk) => write(server, chunk));
    this.#down = new Lane((chunk) => this.#toClient(chunk));
    server.on("error", () => {});
    this.#up.take(head);
    for (const [from, lane] of [
      [client, this.#up],
      [server, this.#down],
    ] as const) {
      from.on("data", (chunk: Buffer) => lane.take(chunk));
      from.on("end", () => lane.take(undefined));
    }
    client.once("close", () => {
      this.#up.stop();
      this.#down.stop();
      server.destroy();
    });
    // One that has ended by itself has said all, which may be on its way.
    server.once("close", () => this.#down.take(undefined));
  }

  /** Ends it without a word, on both sides. */
  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  /** The same, after a part of what comes next. */
  tear(): void {
    const late = setTimeout(() => this.cut(), PATIENCE_MS);
    this.#client.once("close", () => clearTimeout(late));
    this.#down.change((chunk) => {
      write(this.#client, chunk?.subarray(0, chunk.length >> 1));
      this.cut();
    });
  }

  /** Loses all that is said from now on, and leaves it open. */
  hush(direction: "both" | "up" | "down"): void {
    if (direction !== "down") this.#up.change(() => {});
    if (direction !== "up") this.#down.change(() => {});
  }

  /** Everything takes so many milliseconds more from now on, in both directions. */
  delay(ms: number): void {
    this.#up.delayMs = ms;
    this.#down.delayMs = ms;
  }

  /**
   * Ends it as a server would: after all whole frames so far comes what a server says last. The server sees it lost.
   *
   * @param last such as a close frame
   * @param told is called when it goes out, which it does not where the connection ends before
   */
  end(last: Buffer, told = (): void => {}): void {
    this.#last = last;
    this.#told = told;
    if (this.#ends.whole) this.#close();
  }

  #toClient(chunk: Buffer | undefined): void {
    if (this.#over) return;
    if (chunk === undefined) {
      this.#client.end();
      return;
    }
    const ends = this.#ends.take(chunk);
    const end = this.#last && ends.find(({ whole }) => whole);
    if (end === undefined) write(this.#client, chunk);
    else {
      write(this.#client, chunk.subarray(0, end.at));
      this.#close();
    }
  }

  #close(): void {
    this.#over = true;
    if (!this.#client.destroyed && !this.#client.writableEnded) this.#told();
    write(this.#client, this.#last);
    this.#server.destroy();
    // The client answers; then it is for the server to end the connection.
    const end = (): void => {
      this.#client.end();
    };
    this.#up.change(end);
    const late = setTimeout(() => this.cut(), PATIENCE_MS);
    this.#client.once("close", () => clearTimeout(late));
  }
}

/** One direction: chunks in their order, each after a while; undefined is the end. */
class Lane {
  delayMs = 0;
  #give: (chunk: Buffer | undefined) => void;
  readonly #waiting: { readonly chunk: Buffer | undefined; readonly due: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(give: (chunk: Buffer | undefined) => void) {
    this.#give = give;
  }

  /** What is done with chunks from now on. */
  change(give: (chunk: Buffer | undefined) => void): void {
    this.#give = give;
  }

  take(chunk: Buffer | undefined): void {
    if (this.#ended) return;
    this.#ended = chunk === undefined;
    if (this.delayMs === 0 && this.#waiting.length === 0) this.#give(chunk);
    else {
      this.#waiting.push({ chunk, due: performance.now() + this.delayMs });
      this.#wait();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#ended = true;
  }

  #wait(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#waiting.shift();
        this.#give(first.chunk);
        this.#wait();
      },
      Math.max(0, first.due - performance.now()),
    );
  }
}

function write(socket: Socket, chunk: Buffer | undefined): void {
  if (socket.destroyed || socket.writableEnded) return;
  if (chunk === undefined) socket.end();
  else socket.write(chunk);
}
