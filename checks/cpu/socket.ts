/**
 * A WebSocket client that costs next to nothing: it sends frames, and of what it receives it counts how often a mark
 * stands there. So the generator is not what is measured, and every delivery is counted.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";

const PATIENCE_MS = 20_000;

export class RawSocket {
  /** How often the mark was received. */
  marks = 0;
  /** How often something was received: about as often as the server wrote. */
  reads = 0;
  closed = false;
  readonly #socket: Socket;
  readonly #mark: Buffer;
  readonly #text: boolean;
  /** The end of what was received: a mark may be in two parts. */
  #rest = Buffer.alloc(0);
  #wake: (() => void) | undefined;

  /** @param mark without a beginning that is its end */
  static async open(port: number, encoding: Encoding, mark: string): Promise<RawSocket> {
    const socket = connect(port, "127.0.0.1").setNoDelay();
    const { subprotocol } = codecFor(encoding);
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n` +
        `Sec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`,
    );
    const opened = new RawSocket(socket, encoding, mark);
    await opened.#answer("the handshake");
    return opened;
  }

  private constructor(socket: Socket, encoding: Encoding, mark: string) {
    this.#socket = socket;
    this.#mark = Buffer.from(mark);
    this.#text = encoding === "json";
    let head = "";
    const handshake = (data: Buffer): void => {
      head += data.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", handshake).on("data", (more: Buffer) => this.#receive(more));
      if (!head.startsWith("HTTP/1.1 101")) socket.destroy();
      this.#wake?.();
    };
    socket.on("data", handshake);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  send(frame: Frame): void {
    this.#socket.write(masked(Buffer.from(frame), this.#text));
  }

  /** Sends a frame and resolves when something comes back. */
  async ask(frame: Frame): Promise<void> {
    this.send(frame);
    await this.#answer("an answer");
  }

  end(): void {
    this.#socket.destroy();
  }

  async #answer(what: string): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      late = setTimeout(() => reject(new Error(`${what} does not come`)), PATIENCE_MS);
    }).finally(() => clearTimeout(late));
    this.#wake = undefined;
    if (this.closed) throw new Error(`the connection was closed instead of ${what}`);
  }

  #receive(data: Buffer): void {
    this.reads += 1;
    const all = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    let from = 0;
    for (;;) {
      const at = all.indexOf(this.#mark, from);
      if (at < 0) break;
      this.marks += 1;
      from = at + this.#mark.length;
    }
    this.#rest = Buffer.from(all.subarray(Math.max(from, all.length - this.#mark.length + 1)));
    this.#wake?.();
  }
}

/** A whole frame of a client. The mask is zero: what it would change costs the server the same. */
function masked(data: Buffer, text: boolean): Buffer {
  const { length } = data;
  const head = Buffer.alloc(length < 126 ? 6 : 8);
  head[0] = text ? 0x81 : 0x82;
  head[1] = 0x80 | (length < 126 ? length : 126);
  if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, data]);
}
