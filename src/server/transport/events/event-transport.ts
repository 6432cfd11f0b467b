/** What the session of a stream of events writes to: the connection itself, whose bytes many streams share. */
import type { Duplex } from "node:stream";
import type { HostCounters } from "../../../engine/counters.ts";
import type { ClientSession } from "../../../engine/engine.ts";
import type { Transport } from "../../../engine/ports/transport.ts";
import {
  EventStream,
  type EventStreamOptions,
  HEARTBEAT_FRAME,
} from "../../../http/events/event-stream.ts";
import { DISCONNECTS, type Disconnect } from "../../../protocol/codes.ts";
import type { SizedFrame } from "../../../protocol/publication-frames.ts";
import { endLater } from "../deadline.ts";
import { type Flusher, SocketWriter, type WriterOwner } from "../writer.ts";

export interface EventTransportOptions extends Omit<EventStreamOptions, "sink"> {
  /** Takes the body of the answer, and ends with it. */
  readonly body: Duplex;
  readonly flusher: Flusher;
  readonly maxQueueBytes: number;
  readonly counters: HostCounters;
  readonly now: () => number;
}

export class EventTransport implements Transport, WriterOwner {
  session: ClientSession | undefined;
  readonly stream: EventStream;
  readonly #body: Duplex;
  readonly #writer: SocketWriter;
  readonly #counters: HostCounters;
  readonly #now: () => number;

  constructor({ body, flusher, maxQueueBytes, counters, now, ...stream }: EventTransportOptions) {
    this.#body = body;
    this.#counters = counters;
    this.#now = now;
    this.#writer = new SocketWriter(body, flusher, this, { maxQueueBytes, compresses: false });
    const write = (frame: SizedFrame): void => {
      // The writer puts on the connection what is prepared, and would make a frame of WebSocket of anything else.
      frame.prepared ??= Buffer.from(frame.data as string, "utf8");
      this.#writer.write(frame);
    };
    const close = (disconnect: Disconnect): void => this.session?.close(disconnect);
    this.stream = new EventStream({ ...stream, sink: { write, close } });
  }

  write(frame: SizedFrame): void {
    this.stream.take(frame);
  }

  /** A reader of events sends nothing: that the connection is there is the sign of life. */
  heard(): number {
    return this.#now();
  }

  beat(): void {
    this.#writer.write(HEARTBEAT_FRAME);
  }

  overrun(deliveries: number): void {
    this.#counters.queueDrops += deliveries;
    this.session?.close(DISCONNECTS.slowConsumer);
  }

  close(disconnect: Disconnect): void {
    const slow = disconnect.code === DISCONNECTS.slowConsumer.code;
    // A client that does not read will not read what is queued for it either.
    if (slow) this.#counters.queueDrops += this.#writer.drop();
    this.stream.end(disconnect);
    this.#writer.finish();
    this.#body.end();
    endLater(this.#body, slow, () => this.#body.destroy());
  }
}
