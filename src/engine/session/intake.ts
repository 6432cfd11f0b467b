/**
 * How much of what a client has sent is not done yet. A client of today is refused what is too much, and
 * tries again. A v1 client does not read refusals: its frames wait, and its sender is slowed down where the
 * host can do that. Where it cannot, frames are held as they came, since a request takes many times what a
 * small frame does, and a client that sends more than may wait has to be closed.
 */
import type { Frame } from "../../protocol/codec.ts";
import type { InboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import {
  MAX_OPEN_NODE_BYTES,
  MAX_OPEN_REQUESTS,
  MAX_OPEN_SESSION_BYTES,
  MAX_WAITING_FRAME_BYTES,
  MAX_WAITING_FRAMES,
  MAX_WAITING_NODE_BYTES,
  MAX_WAITING_SESSION_BYTES,
  OPEN_REQUEST_BYTES,
  WAITING_FRAME_BYTES,
} from "../../protocol/limits.ts";

/** The part of a transport that is used. */
export interface PausableTransport {
  pause?(): void;
  resume?(): void;
}

/** What all sessions of a node have under way for clients that cannot be refused, in bytes. */
export interface SharedIntake {
  /** Frames, whether they are being worked on or held. */
  waiting: number;
  /** What those that are being worked on take in memory. */
  open: number;
}

/** A frame as it came, and its length in bytes. */
interface HeldFrame {
  readonly frame: Frame;
  readonly size: number;
}

export class Intake {
  readonly #most: number;
  readonly #shared: SharedIntake;
  readonly #transport: PausableTransport;
  #bytes = 0;
  #frames = 0;
  #waiting = 0;
  #open = 0;
  #waits = false;
  readonly #held = new HeldFrames();
  #putOff: WaitingFrames | undefined;
  #paused = false;

  /** @param most bytes of requests that may be under way, as `limits.open_request_bytes` says */
  constructor(most: number, shared: SharedIntake, transport: PausableTransport) {
    this.#most = most;
    this.#shared = shared;
    this.#transport = transport;
  }

  /** Whether the host has stopped reading what this client sends. That is no silence of the client. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Whether a client that can be refused has more under way than it may. */
  get full(): boolean {
    return this.#bytes > this.#most || this.#frames > MAX_OPEN_REQUESTS;
  }

  /** Whether a client that cannot be refused has sent more than may wait on a host that cannot slow it down. */
  get overrun(): boolean {
    if (!this.#holds) return false;
    return (
      this.#waiting > MAX_WAITING_SESSION_BYTES || this.#shared.waiting > MAX_WAITING_NODE_BYTES
    );
  }

  /** The client turns out to be one of v1. What it has under way already is not counted again. */
  wait(): void {
    this.#waits = true;
  }

  /** Holds a frame of a client that can neither be refused nor slowed down. Returns whether it is one. */
  hold(frame: Frame, size: number): boolean {
    if (!this.#holds) return false;
    this.#held.push({ frame, size });
    this.#countWaiting(size + WAITING_FRAME_BYTES);
    return true;
  }

  /** Takes frames that are held, one after the other, while there is room. A frame that makes room takes the others. */
  async drain(take: (frame: Frame, size: number) => Promise<void>): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      await take(next.frame, next.size);
    }
  }

  /** Has a message wait until connect is decided. Returns false where that is too much. */
  putOff(message: InboundMessage, size: number): boolean {
    this.#putOff ??= new WaitingFrames();
    return this.#putOff.push(message, size);
  }

  /** Those that have waited, once. */
  takeWaiting(): WaitingFrames["frames"] {
    const frames = this.#putOff?.frames ?? [];
    this.#putOff = undefined;
    return frames;
  }

  /** The client has gone: nothing of what is held is worked on any more. */
  letGo(): void {
    this.#putOff = undefined;
    this.#countWaiting(-this.#held.clear());
  }

  /**
   * A frame is being worked on.
   *
   * @returns what `end` needs to know of it
   */
  begin(bytes: number): boolean {
    this.#bytes += bytes;
    this.#frames += 1;
    if (this.#waits) this.#count(bytes, 1);
    return this.#waits;
  }

  /** @param waited what `begin` has returned */
  end(bytes: number, waited: boolean): void {
    this.#bytes -= bytes;
    this.#frames -= 1;
    if (waited) this.#count(-bytes, -1);
  }

  get #holds(): boolean {
    return this.#waits && this.#transport.pause === undefined;
  }

  /** The next frame that there is room for. One at a time is worked on in any case. */
  #next(): HeldFrame | undefined {
    const full = this.#open > MAX_OPEN_SESSION_BYTES || this.#shared.open > MAX_OPEN_NODE_BYTES;
    if (full && this.#open > 0) return undefined;
    const next = this.#held.take();
    if (next !== undefined) this.#countWaiting(-next.size - WAITING_FRAME_BYTES);
    return next;
  }

  #count(bytes: number, frames: number): void {
    this.#countWaiting(bytes + frames * WAITING_FRAME_BYTES);
    this.#open += bytes + frames * OPEN_REQUEST_BYTES;
    this.#shared.open += bytes + frames * OPEN_REQUEST_BYTES;
    const transport = this.#transport;
    if (transport.pause === undefined) return;
    if (!this.#paused && this.#open > this.#most / 2) {
      this.#paused = true;
      transport.pause();
    } else if (this.#paused && this.#open <= this.#most / 4) {
      this.#paused = false;
      transport.resume?.();
    }
  }

  #countWaiting(bytes: number): void {
    this.#waiting += bytes;
    this.#shared.waiting += bytes;
  }
}

/** First in, first out, without moving what stays: there may be tens of thousands. */
class HeldFrames {
  #frames: HeldFrame[] = [];
  #head = 0;

  push(frame: HeldFrame): void {
    this.#frames.push(frame);
  }

  take(): HeldFrame | undefined {
    const frame = this.#frames[this.#head];
    if (frame === undefined) return undefined;
    this.#head += 1;
    // Taken frames are let go of once they are the larger part.
    if (this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    return frame;
  }

  /** Returns what they counted, in bytes. */
  clear(): number {
    const bytes = this.#frames
      .slice(this.#head)
      .reduce((sum, { size }) => sum + size + WAITING_FRAME_BYTES, 0);
    this.#frames = [];
    this.#head = 0;
    return bytes;
  }
}

/** Frames that came while connect is being decided, with their lengths in bytes. */
class WaitingFrames {
  readonly frames: { readonly message: InboundMessage; readonly size: number }[] = [];
  #bytes = 0;

  /** Returns whether so much may wait. */
  push(message: InboundMessage, size: number): boolean {
    this.#bytes += size;
    if (this.frames.length >= MAX_WAITING_FRAMES || this.#bytes > MAX_WAITING_FRAME_BYTES)
      return false;
    this.frames.push({ message, size });
    return true;
  }
}
