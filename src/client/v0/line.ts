/**
 * What passes between the connection and its transport, as far as the API of v0.1.1 tells more of it than the connection
 * does: the close code as it came, and answers of a kind that nobody has asked for.
 */
import type { MessagingError } from "../../protocol/errors.ts";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import type { Transport, TransportEnd, TransportEvents, TransportFactory } from "../core/ports.ts";
import type { AnswerKind } from "../core/requests.ts";
import type { Codec, Frame, InboundFrame, OutboundFrame } from "../wire/frames.ts";

/** Why a connection ended, and whether to dial again. */
export interface CloseInfo {
  /** The WebSocket close code; 1006 when the connection was lost. */
  code: number;
  reason: string;
  /**
   * Whether the client should come back: as the server said, else as the close code means. False
   * after the client's own `close()`.
   */
  reconnect: boolean;
  /** How long the server asks to wait before that, in milliseconds; 0 when it did not say. */
  retryAfterMs: number;
}

/** What was seen of one transport. */
interface Seen {
  end: TransportEnd | undefined;
  /** What the server has said before it closed. */
  told: OutboundFrame["disconnect"];
  /** Nothing has come since the last ping. */
  waits: boolean;
}

/** By what each request is answered. */
const ANSWERS = {
  publish: "publish_ack",
  rpc_request: "rpc_reply",
  subscribe: "subscribe_ack",
  survey_request: "survey_result",
  unsubscribe: "unsubscribe_ack",
} as const satisfies Partial<Record<keyof InboundFrame, AnswerKind>>;
/** What may come instead. Anything else is of a later version. */
const OTHERS: readonly AnswerKind[] = [
  ...Object.values(ANSWERS),
  ...(["connected", "pong", "publication", "survey_request", "survey_response"] as const),
];
/** Requests whose answers are looked at. */
const MOST_REQUESTS = 10_000;

export class Line {
  readonly codec: Codec;
  readonly transport: TransportFactory;
  #seen = nothing();
  /** What the requests that have no answer yet are answered by. */
  readonly #wanted = new Map<string, AnswerKind>();

  constructor(codec: Codec, transport: TransportFactory) {
    this.codec = {
      subprotocol: codec.subprotocol,
      encode: (frame) => {
        this.#sent(frame);
        return codec.encode(frame);
      },
      decode: (frame) => this.#received(codec.decode(frame)),
    };
    this.transport = {
      name: transport.name,
      open: (url, subprotocol, events) => this.#open(transport, url, subprotocol, events),
    };
  }

  /** The last ping was not answered, and that was the end. */
  get isSilent(): boolean {
    return this.#seen.end === undefined && this.#seen.waits;
  }

  /** @param error why the connection is closed; undefined where the application has closed it */
  closed(error: MessagingError | undefined): CloseInfo {
    const { end, told } = this.#seen;
    const unseen =
      error === undefined
        ? { code: 1000, reason: "client closing" }
        : { code: 1006, reason: error.message };
    const { code, reason } = end ?? error?.close ?? unseen;
    const comesBack = error !== undefined && end?.fatal !== true;
    return {
      code,
      reason,
      // What is false is not on the wire.
      reconnect: comesBack && (told === undefined ? reconnects(code) : told.reconnect === true),
      retryAfterMs: told?.retry_after_ms ?? 0,
    };
  }

  /** The connection comes back: how it ended is no news of the end of all. */
  forget(): void {
    this.#seen = nothing();
  }

  #open(
    factory: TransportFactory,
    url: string,
    subprotocol: string,
    events: TransportEvents,
  ): Transport {
    const seen = nothing();
    this.#seen = seen;
    this.#wanted.clear();
    const transport = factory.open(url, subprotocol, {
      opened: () => events.opened(),
      frame(frame: Frame) {
        seen.waits = false;
        events.frame(frame);
      },
      alive() {
        seen.waits = false;
        events.alive();
      },
      ended(end) {
        seen.end = end;
        events.ended(end);
      },
    });
    return {
      send: (frame) => transport.send(frame),
      ping() {
        seen.waits = true;
        transport.ping();
      },
      close: (code, reason) => transport.close(code, reason),
    };
  }

  #sent(frame: InboundFrame): void {
    const { id } = frame;
    if (id === undefined) return;
    for (const [request, answer] of Object.entries(ANSWERS)) {
      if (frame[request as keyof typeof ANSWERS] === undefined) continue;
      // Those that were never answered are not kept for ever.
      if (this.#wanted.size >= MOST_REQUESTS) this.#wanted.clear();
      this.#wanted.set(id, answer);
    }
  }

  #received(frame: OutboundFrame): OutboundFrame {
    const { id = "", disconnect } = frame;
    if (disconnect !== undefined) this.#seen.told = disconnect;
    const wanted = this.#wanted.get(id);
    if (wanted === undefined) return frame;
    const other = OTHERS.find((kind) => kind !== wanted && frame[kind] !== undefined);
    const isPart = frame.survey_result?.more === true && other === undefined;
    const isAnswer = frame[wanted] !== undefined || frame.error !== undefined;
    if ((isAnswer && !isPart) || other !== undefined) this.#wanted.delete(id);
    if (isAnswer || other === undefined) return frame;
    return { id, error: { code: "INTERNAL_ERROR", message: `unexpected answer: ${other}` } };
  }
}

function nothing(): Seen {
  return { end: undefined, told: undefined, waits: false };
}
