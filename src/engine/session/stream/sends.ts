/**
 * What a session knows of a client that sends by calls of their own: the secret that proves that a call is the
 * client's, and the order of its messages.
 */
import type { Encoding, Frame } from "../../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import { utf8Length } from "../../../protocol/lean/utf8-length.ts";
import type { SessionHost } from "../ports.ts";
import type { Replies } from "../replies.ts";
import { checkedSeq, SendOrder, type Sized } from "./send-order.ts";

/** What a host says of a stream that it opens. */
export interface StreamTerms {
  /** Text of at least 128 random bits, of this stream alone. It MUST NOT be logged, nor stand in a URL. */
  readonly secret: string;
  /** How often the host writes a heartbeat where there is nothing else to write, in milliseconds. */
  readonly heartbeatIntervalMs: number;
}

/** One call of a client: messages of its session, as they came. */
export interface SendCall {
  readonly sessionId: string;
  /** What the caller says is the stream's secret. */
  readonly secret: string;
  /** Number of the first message, counted from 1. */
  readonly seq: bigint;
  readonly frames: readonly Frame[];
  readonly encoding: Encoding;
}

/** The session, as its sends see it. */
export interface SendsSession {
  readonly encoding: Encoding;
  receive(frame: Frame): Promise<void>;
  fail(what: string, error: unknown): void;
  close(disconnect: Disconnect): void;
}

/** How sends begin: as the host opens the stream, or as they were before it slept. */
export interface SendsStart {
  readonly secret: string;
  /** The last number of which all messages have been taken. Default 0. */
  readonly taken?: number;
  /** What the client has not heard yet. Default nothing. */
  readonly terms?: StreamTerms;
}

interface SizedFrame extends Sized {
  readonly frame: Frame;
}

export class Sends {
  readonly secret: string;
  readonly #encoding: Encoding;
  readonly #order: SendOrder<SizedFrame>;
  #untold: StreamTerms | undefined;

  constructor(node: SessionHost, session: SendsSession, { secret, taken = 0, terms }: SendsStart) {
    this.secret = secret;
    this.#encoding = session.encoding;
    this.#untold = terms;
    this.#order = new SendOrder({
      taken,
      now: () => node.steadyNow(),
      after: (ms, callback) => node.timers.after(ms, callback),
      // Not awaited: a slow request delays nothing that comes behind it.
      take: ({ frame }) => {
        session.receive(frame).catch((error: unknown) => session.fail("send", error));
      },
      overrun: () => session.close(DISCONNECTS.badRequest),
    });
  }

  get taken(): number {
    return this.#order.taken;
  }

  /** Tells the client, once, how it sends. */
  tellTerms(replies: Replies, sessionId: string): void {
    if (this.#untold === undefined) return;
    replies.tell({ case: "opened", value: { sessionId, ...this.#untold } });
    this.#untold = undefined;
  }

  /** Whether a caller knows the secret, in a time that does not show how much of it. */
  knows(secret: string): boolean {
    let difference = this.secret.length ^ secret.length;
    for (let i = 0; i < this.secret.length; i++) {
      difference |= this.secret.charCodeAt(i) ^ secret.charCodeAt(i % (secret.length || 1));
    }
    return difference === 0;
  }

  /**
   * @returns the last number of which all messages have been taken
   * @throws MessagingError BAD_REQUEST; then nothing of the call was taken
   */
  put({ seq, frames, encoding }: SendCall): number {
    if (frames.length === 0) return this.taken;
    // Text says itself that it is JSON; bytes do not.
    if (this.#encoding === "json" && encoding === "proto") {
      throw new MessagingError("BAD_REQUEST", "the stream is JSON, and so must be what is sent");
    }
    return this.#order.put(checkedSeq(seq, frames.length), frames.map(measured));
  }

  /** The session has ended. */
  end(): void {
    this.#order.end();
  }
}

function measured(frame: Frame): SizedFrame {
  return { frame, size: typeof frame === "string" ? utf8Length(frame) : frame.length };
}
