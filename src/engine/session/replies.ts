/**
 * What a session says to its client beside deliveries: answers, refusals, and messages that answer no request.
 * Refusals are counted: a client whose requests keep failing is closed.
 */
import { type Codec, codecFor } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { type OutboundEnvelope, reply, unsolicited } from "../../protocol/envelopes.ts";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import { ERROR_WINDOW_MS } from "../../protocol/limits.ts";
import { type SizedFrame, sized } from "../../protocol/publication-frames.ts";
import type { LogGap, Position } from "../ports/broker.ts";
import type { Client } from "./client.ts";
import { debug, noteFailure, refusalOf, type Speaker } from "./log.ts";
import type { SessionHost } from "./ports.ts";
import { gapMessage, recoveredMessage } from "./queries.ts";

/** What must stay in its place among deliveries; every other answer may overtake them. */
const ORDERED: ReadonlySet<OutboundMessage["envelope"]["case"]> = new Set([
  "connected",
  "subscribeAck",
  "unsubscribeAck",
  "subscribed",
  "unsubscribed",
  "publication",
  "recovered",
  "gap",
  "presence",
]);

/** The session, as its replies see it. */
export interface RepliesOwner {
  /** Bytes that the client wants a frame to keep to; 0 where it has no wish. */
  readonly maxFrameBytes: number;
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
}

export class Replies {
  readonly #node: SessionHost;
  readonly #session: RepliesOwner;
  readonly #client: Client;
  readonly #codec: Codec;
  #errors = 0;
  #errorsSince = 0;

  constructor(node: SessionHost, session: RepliesOwner, client: Client) {
    this.#node = node;
    this.#session = session;
    this.#client = client;
    this.#codec = codecFor(client.encoding);
  }

  /** Answers a request. */
  reply(message: InboundMessage, envelope: OutboundEnvelope): void {
    this.#session.write(this.answer(message, envelope));
  }

  /** Says something that nobody asked for. */
  tell(envelope: OutboundEnvelope): void {
    this.#session.write(this.notice(envelope));
  }

  /** Tells a client that can take it of messages that it will not get. */
  tellGap(channel: string, gap: LogGap): void {
    const { clock, counters } = this.#node;
    const { sessionId } = this.#client;
    const { reason } = gap;
    counters.gaps[reason] += 1;
    counters.incidents.note({ kind: "gap", channel, reason, sessionId, at: clock.now() });
    if (!this.#client.can("recovery")) return;
    this.tell({ case: "gap", value: gapMessage(channel, gap) });
  }

  /** Says that the replay of a channel has ended. */
  tellRecovered(channel: string, position: Position, gap: LogGap | undefined): void {
    if (gap === undefined) this.#node.counters.recovered += 1;
    else this.#node.counters.recoveredWithGap += 1;
    this.tell({ case: "recovered", value: recoveredMessage(channel, position, gap) });
  }

  /** The frame that says why the session ends; undefined for a client that does not understand it. */
  farewell({ code, reason }: Disconnect, retryAfterMs: number): SizedFrame | undefined {
    if (!this.#client.can("control")) return undefined;
    const value = { code, reason, reconnect: reconnects(code), retryAfterMs };
    return this.notice({ case: "disconnect", value });
  }

  /** Says what is wrong with a frame that no request could be read from. */
  refuseFrame(error: MessagingError): void {
    this.tell({ case: "error", value: errorMessage(error) });
    this.countError();
  }

  /** The frame of an answer, where something has to be known of it before it is written. */
  answer(message: InboundMessage, envelope: OutboundEnvelope): SizedFrame {
    return this.#frame(reply(message, this.#node.clock.now(), envelope));
  }

  /** The frame of something that nobody asked for. */
  notice(envelope: OutboundEnvelope): SizedFrame {
    const { clock, random } = this.#node;
    return this.#frame(unsolicited(random.uuid(), clock.now(), envelope));
  }

  /**
   * Bytes that the list of an answer may take; undefined where the client has no wish.
   *
   * @param without the answer with an empty list
   */
  roomBeside(message: InboundMessage, without: OutboundEnvelope): number | undefined {
    const { maxFrameBytes } = this.#session;
    return maxFrameBytes === 0 ? undefined : maxFrameBytes - this.answer(message, without).bytes;
  }

  /** Says why a request was not done, and counts that. */
  refuse(message: InboundMessage, error: unknown, speaker: Speaker): void {
    const { sessionId } = this.#client;
    const known = MessagingError.from(error);
    if (known !== error) noteFailure(this.#node, sessionId, "request", error);
    debug(this.#node, sessionId, "request refused", refusalOf(message, known, speaker));
    this.reply(message, { case: "error", value: errorMessage(known) });
    if (known.counts) this.countError();
  }

  /** A client whose requests keep failing is broken or hostile; either way it costs too much. */
  countError(): void {
    const now = this.#node.steadyNow();
    if (now - this.#errorsSince >= ERROR_WINDOW_MS) {
      this.#errorsSince = now;
      this.#errors = 0;
    }
    this.#errors += 1;
    if (this.#errors > this.#node.settings.maxErrors) {
      this.#session.close(DISCONNECTS.tooManyErrors);
    }
  }

  #frame(message: OutboundMessage): SizedFrame {
    const urgent = !ORDERED.has(message.envelope.case);
    return sized(this.#codec.encodeOutbound(message), urgent);
  }
}
