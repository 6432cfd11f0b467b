/** What the session of a WebSocket writes to, and how it says goodbye. */
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { HostCounters } from "../../engine/counters.ts";
import type { ClientSession } from "../../engine/engine.ts";
import type { Transport } from "../../engine/ports/transport.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { MAX_REASON_BYTES } from "../../protocol/limits.ts";
import { type SizedFrame, sized } from "../../protocol/publication-frames.ts";
import { utf8Cut } from "../../protocol/utf8.ts";
import { endLater } from "./deadline.ts";
import type { Inflater } from "./deflate/inflater.ts";
import type { Source } from "./turn-taking.ts";
import { type Flusher, SocketWriter, type WriterOwner, type WriterTerms } from "./writer.ts";

const CLOSE_FRAME = 0x88;
const PONG_FRAME = 0x8a;
const PONG = sized("pong", true);

/** One WebSocket and the network socket that it runs over. */
export interface SocketPair {
  readonly ws: WebSocket;
  readonly socket: Duplex;
  /** Where compression is agreed. */
  readonly inflater: Inflater | undefined;
}

export class SocketTransport implements Transport, WriterOwner, Source {
  session: ClientSession | undefined;
  readonly #pair: SocketPair;
  readonly #writer: SocketWriter;
  readonly #counters: HostCounters;
  #heardAt = 0;
  /** What does not want the socket to be read: the session, or the frames of it that wait for their turn. */
  #paused = false;
  #held = false;

  constructor(pair: SocketPair, flusher: Flusher, terms: WriterTerms, counters: HostCounters) {
    this.#pair = pair;
    this.#counters = counters;
    this.#writer = new SocketWriter(pair.socket, flusher, this, terms);
  }

  overrun(deliveries: number): void {
    this.#counters.queueDrops += deliveries;
    this.session?.close(DISCONNECTS.slowConsumer);
  }

  write(frame: SizedFrame): void {
    this.#writer.write(frame);
  }

  close(disconnect: Disconnect): void {
    const { ws } = this.#pair;
    // The client's answer to the close must be read.
    this.resume();
    if (disconnect.code !== DISCONNECTS.slowConsumer.code || ws.readyState !== WebSocket.OPEN) {
      this.#writer.finish();
      closeSocket(ws, disconnect);
      return;
    }
    // A client that does not read will not read what is queued for it either; the code must not wait there.
    this.#counters.queueDrops += this.#writer.drop();
    this.#closeSlowly(disconnect);
  }

  pause(): void {
    this.#paused = true;
    this.#read();
  }

  resume(): void {
    this.#paused = false;
    this.#read();
  }

  hold(): void {
    this.#held = true;
    this.#read();
  }

  release(): void {
    this.#held = false;
    this.#read();
  }

  #read(): void {
    const { ws, inflater } = this.#pair;
    if (this.#paused || this.#held) {
      ws.pause();
      inflater?.hold();
    } else {
      ws.resume();
      inflater?.release();
    }
  }

  heard(): number {
    return this.#heardAt;
  }

  /** Notes a sign of life that reaches no session. */
  hear(now: number): void {
    this.#heardAt = now;
  }

  /** Answers the text frame `ping`. */
  pong(): void {
    this.#writer.write(PONG);
  }

  /** Answers a WebSocket ping frame; the answer waits its turn and counts like any other. */
  pongFrame(data: Uint8Array): void {
    this.#writer.write(control(PONG_FRAME, data));
  }

  /** Says goodbye without the library, whose patience is the same for every connection and short. */
  #closeSlowly({ code, reason }: Disconnect): void {
    const { ws, socket } = this.#pair;
    const text = Buffer.from(utf8Cut(reason, MAX_REASON_BYTES), "utf8");
    const data = Buffer.alloc(2 + text.length);
    data.writeUInt16BE(code, 0);
    data.set(text, 2);
    this.#writer.write(control(CLOSE_FRAME, data));
    this.#writer.finish();
    socket.end();
    endLater(ws, true, () => ws.terminate());
  }
}

export function closeSocket(ws: WebSocket, { code, reason }: Disconnect): void {
  ws.close(code, utf8Cut(reason, MAX_REASON_BYTES));
}

/** A control frame, of at most 125 bytes. It has its form on the wire already. */
function control(opcode: number, data: Uint8Array): SizedFrame {
  const prepared = Buffer.allocUnsafeSlow(2 + data.length);
  prepared[0] = opcode;
  prepared[1] = data.length;
  prepared.set(data, 2);
  return { data: prepared, bytes: prepared.length, urgent: true, prepared, compressed: prepared };
}
