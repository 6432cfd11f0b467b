/**
 * `GET /channels/{channel}/events`: which client may have a stream of events, and what all others are answered. A status that
 * makes a client give up is for those that must; a client that may come back gets 200, a pause and an end.
 */
import { errorText } from "../../engine/error-text.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { SizedFrame } from "../../protocol/publication-frames.ts";
import { type ChannelPath, channelOrPatternIn } from "../channel-path.ts";
import { admit } from "../cors.ts";
import { type HandshakeRules, handshakeRequest } from "../handshake.ts";
import type { KeyPeer } from "../keys/keys.ts";
import { type ReaderTerms, readerOf } from "../readers.ts";
import { problemResponse, statusOf } from "../statuses.ts";
import { LOST_POSITION } from "./event-id.ts";
import { EventStream } from "./event-stream.ts";

/** What follows the channel in the path. */
export const EVENTS_PATH = "/events";

/** Events are for one client at one moment, and their address may hold a ticket. */
const PRIVATE = {
  "Cache-Control": "no-store, no-transform",
  "Referrer-Policy": "no-referrer",
};
const STREAM = {
  ...PRIVATE,
  // Some clients take no other form of it.
  "Content-Type": "text/event-stream",
  // One proxy would keep events until it has many of them.
  "X-Accel-Buffering": "no",
};
const DOOR = { methods: ["GET"], headers: ["Last-Event-ID"] };

export interface EventsDoorOptions extends ReaderTerms {
  readonly rules: HandshakeRules;
  /** Whether this deployment lets clients subscribe. */
  readonly subscribes: boolean;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random: () => number;
}

/** A stream that its client may have. */
export interface AdmittedEvents {
  /** A channel or a pattern. */
  readonly name: string;
  /** As the client sends it, empty where it has none; one that the server does not know where the client may not read history. */
  readonly lastEventId: string;
  /** The client's user; empty for an anonymous one. */
  readonly userId: string;
  /** When its ticket was made, Unix milliseconds; undefined where it has shown a key. */
  readonly issuedAt: number | undefined;
  /** Network address of the client; empty where it is not known. */
  readonly address: string;
  /** Of the answer, whose status is 200. */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole answer to a client that is to come back later. */
  sentAway(disconnect: Disconnect): Response;
}

export class EventsDoor {
  readonly #options: EventsDoorOptions;

  constructor(options: EventsDoorOptions) {
    this.#options = options;
  }

  /**
   * Answers a request.
   *
   * @param path of the request, whose rest is EVENTS_PATH
   * @param open answers a client that may have its stream
   */
  async answer(
    request: Request,
    path: ChannelPath,
    peer: KeyPeer,
    open: (events: AdmittedEvents) => Response | Promise<Response>,
  ): Promise<Response> {
    const { rules, logger } = this.#options;
    const admission = admit(handshakeRequest(request), rules, DOOR);
    if (!admission.admitted) {
      const { status, reason } = admission;
      if (reason === undefined) {
        return new Response(null, { status, headers: { ...PRIVATE, ...admission.headers } });
      }
      const fields = { address: peer.address, status, reason };
      logger.debug?.("events refused", fields);
      const refusal = new MessagingError("ACL_ERROR", "pages of this origin may not read events");
      return problemResponse(refusal, { ...PRIVATE, Vary: "Origin" });
    }
    const origin = admission.headers;
    let sentAway: ((disconnect: Disconnect) => Response) | undefined;
    try {
      checkMethod(request.method);
      const name = channelOrPatternIn(path.encoded);
      const lastEventId = lastEventIdOf(request);
      const headers = { ...STREAM, ...origin };
      const farewell = (disconnect: Disconnect): Response =>
        new Response(this.#farewell(name, lastEventId, disconnect), { headers });
      sentAway = farewell;
      if (!this.#options.subscribes) {
        throw new MessagingError("UNIMPLEMENTED", "this server lets no client subscribe");
      }
      const reader = await readerOf(request, name, peer, this.#options);
      if (reader === undefined) {
        return new Response(null, { status: 204, headers: { ...PRIVATE, ...origin } });
      }
      const { issuedAt, userId, readsHistory } = reader;
      return await open({
        name,
        // A client that may not read what it missed gets a gap instead.
        lastEventId: readsHistory || lastEventId === "" ? lastEventId : LOST_POSITION,
        userId,
        issuedAt,
        address: peer.address,
        headers,
        sentAway: farewell,
      });
    } catch (error) {
      const known = MessagingError.from(error);
      const status = statusOf(known).http;
      if (known !== error) logger.warn("events failed", { error: errorText(error) });
      logger.debug?.("events refused", { address: peer.address, status, reason: known.message });
      if (sentAway !== undefined && MUST_NOT_GIVE_UP.has(status)) {
        return sentAway(disconnectFor(known));
      }
      const allow = status === 405 ? { Allow: DOOR.methods.join(", ") } : {};
      return problemResponse(known, { ...PRIVATE, ...origin, ...allow });
    }
  }

  /** A stream of one event. */
  #farewell(name: string, lastEventId: string, disconnect: Disconnect): string {
    const { random } = this.#options;
    let text = "";
    const write = ({ data }: SizedFrame): void => {
      text += data;
    };
    const stream = new EventStream({ name, lastEventId, random, sink: { write, close: () => {} } });
    stream.begin();
    stream.end(disconnect);
    return text;
  }
}

/** With these an EventSource never comes back, although it should. */
const MUST_NOT_GIVE_UP: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

function checkMethod(method: string): void {
  if (DOOR.methods.includes(method)) return;
  throw new MessagingError("METHOD_NOT_ALLOWED", "events are read by GET");
}

/** The header is newer than the address that a client was made with; an empty one says nothing. */
function lastEventIdOf(request: Request): string {
  const header = request.headers.get("Last-Event-ID") ?? "";
  return header || (new URL(request.url).searchParams.get("last_event_id") ?? "");
}

function disconnectFor({ code }: MessagingError): Disconnect {
  return code === "INTERNAL_ERROR" ? DISCONNECTS.internal : DISCONNECTS.connectionLimit;
}
