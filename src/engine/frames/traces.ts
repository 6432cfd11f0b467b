/**
 * Traces of single users and channels: what their frames are, for as long as somebody reads. While there is none no frame
 * is looked at. Only so many run on a node, each keeps only so much, and each ends by itself.
 */

import { codecFor } from "../../protocol/codec.ts";
import { MessagingError, rateLimited } from "../../protocol/errors.ts";
import type { TracedFrame } from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import {
  MAX_TRACED_BYTES,
  MAX_TRACED_FRAMES,
  MAX_TRACES,
  TRACE_UNREAD_MS,
  TRACE_WAIT_MS,
} from "../../protocol/limits.ts";
import type { SizedFrame } from "../../protocol/publication-frames.ts";
import { errorText } from "../error-text.ts";
import type { Clock, Logger, Timers } from "../ports/platform.ts";
import { delay } from "../ports/timers.ts";
import { channelsIn, channelsOut, frameOf, inboundFrame, outboundFrame } from "./traced-frame.ts";
import type { FrameWatch, WatchedSession } from "./watch.ts";

/** What a trace is about. */
export interface TraceTerms {
  readonly id: string;
  /** Empty where it is about a channel. */
  readonly userId: string;
  /** Empty where it is about a user. */
  readonly channel: string;
  readonly payloads: boolean;
  /** When it ends, Unix milliseconds. */
  readonly until: number;
}

/** What has come since the last reading. */
export interface TraceReading {
  readonly frames: TracedFrame[];
  /** How many had no room. */
  readonly leftOut: number;
}

export interface TracesHost {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Set while there is a trace. */
  watch: FrameWatch | undefined;
}

export class Traces implements FrameWatch {
  readonly #host: TracesHost;
  readonly #traces = new Map<string, Trace>();
  /** A frame for many sessions is decoded once. */
  #decoded = new WeakMap<SizedFrame, OutboundMessage>();

  constructor(host: TracesHost) {
    this.#host = host;
  }

  /**
   * What a trace has of this node, after a while in which more may come. Begins it where there is none.
   *
   * @throws MessagingError RATE_LIMITED where as many run as may; NOT_FOUND for the id of a trace about something else
   */
  async read(terms: TraceTerms): Promise<TraceReading> {
    const trace = this.#traces.get(terms.id) ?? this.#begin(terms);
    if (!trace.isAbout(terms)) throw new MessagingError("NOT_FOUND", "there is no such trace");
    const { clock, timers } = this.#host;
    trace.readings += 1;
    const { readings } = trace;
    await delay(timers, Math.max(0, Math.min(TRACE_WAIT_MS, terms.until - clock.now())));
    // By a timer and not by the clock, which may be set: while a trace goes on every frame is looked at.
    timers.after(TRACE_UNREAD_MS + TRACE_WAIT_MS, () => {
      if (trace.readings === readings) this.#end(trace);
    });
    return trace.drain();
  }

  took(session: WatchedSession, message: InboundMessage, bytes: number): void {
    this.#look(
      session,
      () => channelsIn(message),
      (payloads) => inboundFrame(message, bytes, payloads),
    );
  }

  refused(session: WatchedSession, bytes: number, code: string): void {
    this.#look(
      session,
      () => [],
      () => ({ inbound: true, bytes, outcome: code }),
    );
  }

  wrote(session: WatchedSession, frame: SizedFrame): void {
    const message = (): OutboundMessage => this.#decode(session, frame);
    this.#look(
      session,
      () => channelsOut(message()),
      (payloads) => outboundFrame(message(), frame.bytes, payloads),
    );
  }

  ended(session: WatchedSession, code: number | undefined): void {
    this.#look(
      session,
      () => [],
      () => ({ kind: "end", outcome: `${code ?? ""}` }),
    );
  }

  #look(
    session: WatchedSession,
    channels: () => readonly string[],
    make: (payloads: boolean) => Parameters<typeof frameOf>[2],
  ): void {
    try {
      for (const trace of this.#traces.values()) {
        const { userId, channel, payloads } = trace.terms;
        const now = this.#host.clock.now();
        if (userId !== "") {
          if (session.userId === userId) trace.add(frameOf(session, now, make(payloads)));
          continue;
        }
        const named = channels();
        if (!named.includes(channel)) continue;
        // A frame may name channels that the reader may know nothing of.
        const alone = named.every((one) => one === channel);
        trace.add(frameOf(session, now, { ...make(payloads && alone), channel }));
      }
    } catch (error) {
      this.#host.logger.warn("a frame cannot be traced", { error: errorText(error) });
    }
  }

  #decode({ encoding }: WatchedSession, frame: SizedFrame): OutboundMessage {
    let message = this.#decoded.get(frame);
    if (message === undefined) {
      message = codecFor(encoding).decodeOutbound(frame.data);
      this.#decoded.set(frame, message);
    }
    return message;
  }

  #begin(terms: TraceTerms): Trace {
    if (this.#traces.size >= MAX_TRACES) {
      throw rateLimited(`${MAX_TRACES} traces are running, and no more may`, TRACE_UNREAD_MS);
    }
    const trace = new Trace(terms);
    this.#traces.set(terms.id, trace);
    this.#host.watch = this;
    return trace;
  }

  /** Nobody reads it any more. */
  #end(trace: Trace): void {
    this.#traces.delete(trace.terms.id);
    if (this.#traces.size > 0) return;
    this.#host.watch = undefined;
    this.#decoded = new WeakMap();
  }
}

class Trace {
  readonly terms: TraceTerms;
  /** How often it was read. */
  readings = 0;
  #frames: TracedFrame[] = [];
  #bytes = 0;
  #leftOut = 0;

  constructor(terms: TraceTerms) {
    this.terms = terms;
  }

  isAbout({ userId, channel, payloads }: TraceTerms): boolean {
    const { terms } = this;
    return userId === terms.userId && channel === terms.channel && payloads === terms.payloads;
  }

  add(frame: TracedFrame): void {
    const bytes = frame.payload.length;
    if (this.#frames.length >= MAX_TRACED_FRAMES || this.#bytes + bytes > MAX_TRACED_BYTES) {
      this.#leftOut += 1;
      return;
    }
    this.#bytes += bytes;
    this.#frames.push(frame);
  }

  drain(): TraceReading {
    const reading = { frames: this.#frames, leftOut: this.#leftOut };
    this.#frames = [];
    this.#bytes = 0;
    this.#leftOut = 0;
    return reading;
  }
}
