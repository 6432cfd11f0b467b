/**
 * How much of what a client has sent is not done yet. A client of today is refused what is too much, and
 * tries again. A v1 client does not read refusals: its frames wait, and its sender is slowed down where the
 * host can do that. Where it cannot, a client that sends more than may wait has to be closed.
 */
import type { InboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import {
  MAX_OPEN_REQUESTS,
  MAX_WAITING_FRAME_BYTES,
  MAX_WAITING_FRAMES,
  MAX_WAITING_NODE_BYTES,
  MAX_WAITING_SESSION_BYTES,
  WAITING_FRAME_BYTES,
} from "../../protocol/limits.ts";

/** The part of a transport that is used. */
export interface PausableTransport {
  pause?(): void;
  resume?(): void;
}

/** What all sessions of a node have under way for clients that cannot be refused, in bytes. */
export interface SharedIntake {
  waiting: number;
}

export class Intake {
  readonly #most: number;
  readonly #shared: SharedIntake;
  readonly #transport: PausableTransport;
  #bytes = 0;
  #frames = 0;
  #waiting = 0;
  #waits = false;
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
    if (!this.#waits || this.#transport.pause !== undefined) return false;
    return (
      this.#waiting > MAX_WAITING_SESSION_BYTES || this.#shared.waiting > MAX_WAITING_NODE_BYTES
    );
  }

  /** The client turns out to be one of v1. What it has under way already is not counted again. */
  wait(): void {
    this.#waits = true;
  }

  /**
   * A frame is being worked on.
   *
   * @returns what `end` needs to know of it
   */
  begin(bytes: number): boolean {
    this.#bytes += bytes;
    this.#frames += 1;
    if (this.#waits) this.#count(bytes + WAITING_FRAME_BYTES);
    return this.#waits;
  }

  /** @param waited what `begin` has returned */
  end(bytes: number, waited: boolean): void {
    this.#bytes -= bytes;
    this.#frames -= 1;
    if (waited) this.#count(-bytes - WAITING_FRAME_BYTES);
  }

  #count(weight: number): void {
    this.#waiting += weight;
    this.#shared.waiting += weight;
    const transport = this.#transport;
    if (transport.pause === undefined) return;
    if (!this.#paused && this.#waiting > this.#most / 2) {
      this.#paused = true;
      transport.pause();
    } else if (this.#paused && this.#waiting <= this.#most / 4) {
      this.#paused = false;
      transport.resume?.();
    }
  }
}

/** Frames that came while connect is being decided, with their lengths in bytes. */
export class WaitingFrames {
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
