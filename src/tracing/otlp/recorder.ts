/** Spans that are kept until they are exported, where no library of the host does it. */
import type { Clock, Random } from "../../engine/ports/platform.ts";
import type { Span, SpanAttributes } from "../../engine/ports/tracing.ts";
import { formatTraceparent } from "../trace-context.ts";
import { type BeginSpan, type SpanStart, shortened } from "../tracer.ts";

/** A span that has ended. */
export interface EndedSpan extends SpanStart {
  readonly traceId: string;
  readonly spanId: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** The code of the error that the operation has failed with; undefined for none. */
  readonly failure: string | undefined;
}

export interface RecorderHost {
  readonly clock: Clock;
  readonly random: Random;
  /** Takes a span that has ended. It must not throw. */
  ended(span: EndedSpan): void;
}

export function recorder(host: RecorderHost): BeginSpan {
  return (start) => new RecordedSpan(host, start);
}

class RecordedSpan implements Span {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly #host: RecorderHost;
  readonly #start: SpanStart;
  readonly #traceId: string;
  readonly #spanId: string;
  readonly #startedAt: number;
  #attributes: SpanAttributes;
  #failure: string | undefined;

  constructor(host: RecorderHost, start: SpanStart) {
    this.#host = host;
    this.#start = start;
    // The last digits of a UUID are chance, and not all of them can be 0.
    this.#traceId = start.parent?.traceId ?? digits(host.random.uuid());
    this.#spanId = digits(host.random.uuid()).slice(-16);
    this.#startedAt = host.clock.now();
    this.#attributes = start.attributes;
    this.traceparent = formatTraceparent({ traceId: this.#traceId, spanId: this.#spanId });
    this.tracestate = start.parent?.tracestate;
  }

  set(attributes: SpanAttributes): void {
    this.#attributes = { ...this.#attributes, ...shortened(attributes) };
  }

  fail(why: string): void {
    this.#failure ??= why;
  }

  end(): void {
    // A clock that was set back must not end a span before it began.
    const endedAt = Math.max(this.#host.clock.now(), this.#startedAt);
    this.#host.ended({
      ...this.#start,
      attributes: this.#attributes,
      traceId: this.#traceId,
      spanId: this.#spanId,
      startedAt: this.#startedAt,
      endedAt,
      failure: this.#failure,
    });
  }
}

function digits(uuid: string): string {
  return uuid.replaceAll("-", "");
}
