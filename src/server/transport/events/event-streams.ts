/** Streams of server-sent events: how they begin on either version of HTTP, and how many there may be. */
import type { ServerResponse } from "node:http";
import { Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { background } from "../../../engine/background.ts";
import type { AdmittedEvents } from "../../../http/events/door.ts";
import type { StreamSettings } from "../../../http/streaming/settings.ts";
import { DISCONNECTS, type Disconnect } from "../../../protocol/codes.ts";
import type { Entrance } from "../connections.ts";
import { Flusher } from "../writer.ts";
import { DueQueue } from "./due-queue.ts";
import { EventTransport } from "./event-transport.ts";

export interface EventStreamsOptions extends Entrance {
  readonly stream: StreamSettings;
  /** Whether the server takes new clients. */
  readonly ready: () => boolean;
}

/** An answer of the runtime's HTTP server. */
export type Outgoing = ServerResponse | Http2ServerResponse;

/** The streams of one process. All their heartbeats share a timer, and so do the ends of their lifetimes. */
export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #flusher = new Flusher();
  readonly #open = new Set<Duplex>();
  /** Which of them are to be shown to live, and which have lived long enough. */
  readonly #heartbeats: DueQueue<EventTransport>;
  readonly #lifetimes: DueQueue<EventTransport>;

  constructor(options: EventStreamsOptions) {
    this.#options = options;
    const { heartbeatIntervalMs, lifetimeMs } = options.stream;
    this.#heartbeats = new DueQueue(heartbeatIntervalMs, (transport) => {
      transport.beat();
      this.#heartbeats.add(transport);
    });
    this.#lifetimes = new DueQueue(lifetimeMs, ({ session }) => {
      session?.close(DISCONNECTS.goingAway);
    });
  }

  /** Answers a request that may have a stream. What it returns has been sent. */
  open(events: AdmittedEvents, outgoing: Outgoing): Response {
    const { engine, connections, maxQueueBytes, logger, sessionId } = this.#options;
    const { address, issuedAt, name, lastEventId, userId } = events;
    const refusal = this.#refusal(outgoing);
    if (refusal !== undefined) {
      logger.debug?.("events refused", { address, reason: refusal.reason });
      return events.sentAway(refusal);
    }
    const body = beginAnswer(outgoing, events.headers);
    if (body.destroyed) return RESPONSE_ALREADY_SENT;
    this.#open.add(body);
    const transport = new EventTransport({
      body,
      flusher: this.#flusher,
      maxQueueBytes,
      counters: engine.counters,
      now: () => engine.steadyNow(),
      name,
      lastEventId,
      random: Math.random,
    });
    const session = engine.accept(transport, sessionId(), "json", {
      address,
      admitted: issuedAt === undefined ? { userId } : { userId, issuedAt },
    });
    // Other threads see both, so that the session is there first.
    connections.enter();
    transport.session = session;
    this.#heartbeats.add(transport);
    this.#lifetimes.add(transport);
    // The runtime closes what failed; what matters here is that it ends.
    body.on("error", () => {});
    body.once("close", () => {
      this.#open.delete(body);
      this.#heartbeats.delete(transport);
      this.#lifetimes.delete(transport);
      connections.leave();
      session.end(false);
    });
    transport.stream.begin();
    background(session.receiveMessage(transport.stream.connect, 0), logger, "a stream of events");
    return RESPONSE_ALREADY_SENT;
  }

  /** Ends what is left. */
  destroy(): void {
    for (const body of this.#open) body.destroy();
  }

  /** Ends those whose last byte has left the process. */
  destroyFlushed(): void {
    for (const body of this.#open) {
      if (body.writableLength === 0) body.destroy();
    }
  }

  #refusal(outgoing: Outgoing): Disconnect | undefined {
    const { connections, ready } = this.#options;
    if (!ready()) return DISCONNECTS.goingAway;
    // After another answer on its connection, which is to end with it.
    if (outgoing.socket === null) return DISCONNECTS.connectionLimit;
    return connections.full || !connections.admit() ? DISCONNECTS.connectionLimit : undefined;
  }
}

/** Sends the head of an answer. Its body is what is written to what this returns. */
function beginAnswer(outgoing: Outgoing, headers: AdmittedEvents["headers"]): Duplex {
  if (outgoing instanceof Http2ServerResponse) {
    outgoing.writeHead(200, headers);
    return outgoing.stream;
  }
  // The body ends with the connection, so that its bytes are the same for all receivers.
  outgoing.shouldKeepAlive = false;
  outgoing.useChunkedEncodingByDefault = false;
  outgoing.writeHead(200, { ...headers, Connection: "close" });
  outgoing.flushHeaders();
  const { socket } = outgoing;
  if (socket === null) throw new Error("an answer without a connection");
  // A stream may be silent for longer than a request.
  socket.setTimeout(0);
  return socket;
}
