/**
 * What stands between a gateway and a client whose answer ends in the Worker: a stream that a gateway answered
 * by itself would keep it awake. The bridge is the gateway's client, over a WebSocket that the gateway can sleep
 * on; it writes heartbeats and ends streams that are old without waking it.
 *
 * The runtime does not report that a client has left until a write to it fails, and an open socket keeps all of this
 * going after that. So a writer to the client calls `leave` then, and heartbeats see to it that writes come. A
 * write to a client that does not read never fails: such a client is abandoned some time after its end.
 *
 * | state | since | what the gateway writes | the client gets |
 * | --- | --- | --- | --- |
 * | open | the gateway has taken the client | waits for it | frames, and heartbeats while there are none |
 * | asked | `close`, as at the end of the lifetime | waits for it, but for a slow consumer | the same |
 * | ended | the gateway has closed, or has not in 5 s after it was asked | is dropped | what waits, and then the end |
 * | left | `leave`: a write has failed, or the end was written | is dropped | nothing |
 */
import type { Clock, Timers } from "../../engine/ports/platform.ts";
import { OutboundQueue } from "../../http/streaming/outbound-queue.ts";
import type { Frame } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { sized } from "../../protocol/publication-frames.ts";
import { closeSocket, closeWord } from "../close.ts";

/** How long a gateway may take to end a session that it was asked to end, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;
/** How long a client may take to read so much that there is room for its end, in milliseconds. */
const END_TIMEOUT_MS = 5_000;
/** The same for a slow consumer, which has been written all that it takes. */
const SLOW_END_TIMEOUT_MS = 30_000;
/** The client has gone without a word. */
const GONE: Disconnect = { code: 1001, reason: "client gone" };

export interface BridgeOptions {
  /** After how long without a frame for the client there is a heartbeat for it, in milliseconds. */
  readonly heartbeatMs: number;
  /** After how long the stream ends, in milliseconds. */
  readonly lifetimeMs: number;
  /** Why it ends then. */
  readonly lifetimeEnd: Disconnect;
  /** How long its client should wait then before it comes back, in milliseconds. */
  readonly returnAfterMs: number;
  /** Bytes that may wait for a client that reads slowly; beyond them it is closed with 3510. */
  readonly maxQueueBytes: number;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Cuts the answer to a client that has not read up to its end in time. */
  readonly abandon: () => void;
}

/** What there is for the client next. */
export type BridgeEvent =
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "heartbeat" }
  /** The last one. Without a disconnect the gateway was lost. */
  | { readonly kind: "end"; readonly disconnect: Disconnect | undefined };

export class Bridge {
  readonly #socket: WebSocket;
  readonly #options: BridgeOptions;
  readonly #queue = new OutboundQueue<Frame>();
  /** When something was handed over for the client, Unix milliseconds. */
  #written: number;
  #beat = false;
  #end: Extract<BridgeEvent, { kind: "end" }> | undefined;
  /** What the gateway was asked to end the session for. */
  #asked: Disconnect | undefined;
  #wake: (() => void) | undefined;
  readonly #cancels = new Set<() => void>();
  /** Keeps the client from being abandoned. */
  #gone: (() => void) | undefined;

  /** @param socket of the gateway's answer, not accepted yet */
  constructor(socket: WebSocket, options: BridgeOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("close", ({ code, reason }) => {
      this.#finish(code === 1006 ? undefined : { code, reason });
    });
    socket.addEventListener("error", () => this.#finish(undefined));
    socket.accept();
    this.#written = options.clock.now();
    this.#beatAfter(options.heartbeatMs);
    this.#after(options.lifetimeMs, () => {
      this.close(options.lifetimeEnd, options.returnAfterMs);
    });
  }

  /** To the session, as from its client. */
  send(frame: Frame): void {
    try {
      this.#socket.send(frame);
    } catch {
      // It is closing: its close event ends the stream.
    }
  }

  /**
   * Has the gateway end the session, so that its client gets the reason as any other.
   *
   * @param retryAfterMs how long the client should wait before it comes back, in milliseconds
   */
  close(disconnect: Disconnect, retryAfterMs = 0): void {
    if (this.#end !== undefined || this.#asked !== undefined) return;
    this.#asked = disconnect;
    this.send(closeWord(disconnect.code, retryAfterMs));
    this.#after(CLOSE_TIMEOUT_MS, () => {
      this.#finish(disconnect);
      closeSocket(this.#socket, disconnect);
    });
  }

  /** The session ends as that of a socket that was lost. Its client still has the end of its stream to hear. */
  end(): void {
    this.#queue.clear();
    this.#finish(undefined);
    closeSocket(this.#socket, GONE);
  }

  /** The client has gone, or has heard the end. */
  leave(): void {
    this.end();
    this.#gone?.();
  }

  /** Waits for what there is for the client. Called again when that was written; after the end no more. */
  async next(): Promise<BridgeEvent> {
    for (;;) {
      const frame = this.#queue.take();
      if (frame !== undefined) {
        this.#written = this.#options.clock.now();
        return { kind: "frame", frame };
      }
      if (this.#end !== undefined) return this.#end;
      if (this.#beat) {
        this.#beat = false;
        this.#written = this.#options.clock.now();
        return { kind: "heartbeat" };
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #take(data: unknown): void {
    // A client that is closed because it does not read will not read this either.
    if (this.#end !== undefined || this.#asked === DISCONNECTS.slowConsumer) return;
    const frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    this.#queue.push(frame, sized(frame));
    if (this.#queue.bytes > this.#options.maxQueueBytes) {
      this.#queue.clear();
      this.close(DISCONNECTS.slowConsumer);
    } else this.#wake?.();
  }

  /** One timer, for any number of writes: it looks how long that is ago. */
  #beatAfter(ms: number): void {
    this.#after(ms, () => {
      const { clock, heartbeatMs } = this.#options;
      const left = this.#written + heartbeatMs - clock.now();
      if (left <= 0) {
        this.#beat = true;
        this.#wake?.();
      }
      this.#beatAfter(left <= 0 ? heartbeatMs : left);
    });
  }

  #finish(disconnect: Disconnect | undefined): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
    if (this.#end !== undefined) return;
    this.#end = { kind: "end", disconnect };
    const slow = this.#asked === DISCONNECTS.slowConsumer;
    const { timers, abandon } = this.#options;
    this.#gone = timers.after(slow ? SLOW_END_TIMEOUT_MS : END_TIMEOUT_MS, abandon);
    this.#wake?.();
  }

  #after(ms: number, callback: () => void): void {
    if (this.#end !== undefined) return;
    const cancel = this.#options.timers.after(ms, () => {
      this.#cancels.delete(cancel);
      callback();
    });
    this.#cancels.add(cancel);
  }
}
