/**
 * What comes by one connection. Methods of a class, and no functions of each client's own: an engine compiles them once for all
 * clients, and keeps that when some of these are gone.
 */
import type { Codec, Frame, OutboundFrame } from "../wire/frames.ts";
import { frameLength } from "../wire/sizes.ts";
import type { Timer } from "./timer.ts";

export interface ReceiverTerms {
  readonly codec: Codec;
  /** Waits for a sign of life. */
  readonly pong: Timer;
  readonly owner: {
    /** Messages of a connection that stands. */
    frame(frame: OutboundFrame): void;
    /** What cannot be read, or taken. */
    report(error: unknown): void;
  };
  /** Any other frame. */
  readonly take: (frame: OutboundFrame) => void;
  /** Says to the server how many bytes have come. */
  readonly tell: (bytes: number) => void;
}

export class Receiver {
  readonly #terms: ReceiverTerms;
  #isOver = false;
  #stands = false;
  #received = 0;
  /** Bytes between two reports of what was received. */
  #reportEvery = 0;
  /** With so many bytes the next one is due; never where the server does not want to know. */
  #reportAt = Infinity;

  constructor(terms: ReceiverTerms) {
    this.#terms = terms;
  }

  /** The server has answered connect. @param reportEvery bytes; Infinity where it does not want to know */
  start(reportEvery: number): void {
    this.#stands = true;
    this.#reportEvery = reportEvery;
    this.#reportAt = reportEvery;
  }

  /** What comes from now on is of the past. */
  stop(): void {
    this.#isOver = true;
  }

  frame(data: Frame): void {
    if (this.#isOver) return;
    const { codec, pong, owner, take, tell } = this.#terms;
    pong.stop();
    this.#received += frameLength(data);
    try {
      const frame = codec.decode(data);
      if (this.#stands && frame.publication && !frame.id) owner.frame(frame);
      else take(frame);
    } catch (error) {
      owner.report(error);
    }
    if (this.#received < this.#reportAt) return;
    this.#reportAt = this.#received + this.#reportEvery;
    tell(this.#received);
  }
}
