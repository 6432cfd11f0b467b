/** The engine's tracer on every host: what is in the sample, and what its spans continue. How spans are kept is the host's. */
import type {
  Operation,
  Span,
  SpanAttributes,
  SpanKind,
  SpanTerms,
  TraceAttributes,
  Tracer,
} from "../engine/ports/tracing.ts";
import type { Sampler } from "./sampler.ts";
import { parseTraceparent, parseTracestate, type TraceContext } from "./trace-context.ts";

/** Longest text of an attribute, in UTF-16 units: a client may name things as long as its frames. */
const MAX_TEXT = 256;

/** What a span is made of. */
export interface SpanStart {
  readonly operation: Operation;
  readonly kind: SpanKind;
  /** Undefined for one that begins a trace. */
  readonly parent: ParentContext | undefined;
  readonly attributes: SpanAttributes;
}

export interface ParentContext extends Pick<TraceContext, "traceId" | "spanId"> {
  readonly tracestate: string | undefined;
  /** Whether the parent is a span of somebody else. */
  readonly remote: boolean;
}

/** Makes a span that is in the sample. */
export type BeginSpan = (start: SpanStart) => Span;

export class SamplingTracer implements Tracer {
  readonly #sampler: Sampler;
  readonly #begin: BeginSpan;

  constructor(sampler: Sampler, begin: BeginSpan) {
    this.#sampler = sampler;
    this.#begin = begin;
  }

  start(operation: Operation, { kind, parent, event, part = false, attributes = {} }: SpanTerms) {
    const start = { operation, kind, attributes: shortened(attributes) };
    if (parent !== undefined) {
      if (!this.#sampler.takesPart()) return undefined;
      return this.#begin({ ...start, parent: contextOf(parent) });
    }
    const remote = parseTraceparent(event?.traceparent ?? "");
    if (part && remote === undefined) return undefined;
    if (!this.#sampler.takes(remote)) return undefined;
    return this.#begin({ ...start, parent: remote && remoteParent(remote, event) });
  }
}

/** Attributes whose texts are valid and not too long. */
export function shortened(attributes: SpanAttributes): SpanAttributes {
  const all = Object.entries(attributes).map(([name, value]) => [
    name,
    typeof value === "string" ? value.slice(0, MAX_TEXT).toWellFormed() : value,
  ]);
  return Object.fromEntries(all);
}

function contextOf({ traceparent, tracestate }: Span): ParentContext | undefined {
  const own = parseTraceparent(traceparent);
  return own && { traceId: own.traceId, spanId: own.spanId, tracestate, remote: false };
}

function remoteParent(
  { traceId, spanId }: TraceContext,
  event: TraceAttributes | undefined,
): ParentContext {
  const tracestate = parseTracestate(event?.tracestate ?? "");
  return { traceId, spanId, tracestate, remote: true };
}
