/** What the engine needs where its operations are traced: spans, each one operation of a trace. */

/** The operations that have a span. A span has the operation as its name. */
export type Operation =
  | "connect"
  | "publish"
  | "deliver"
  | "rpc"
  | "survey"
  | "authenticate"
  | "authorizeSubscribe";

/** Who begins an operation and who ends it, as OpenTelemetry numbers it. */
export const SPAN_KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
export type SpanKind = keyof typeof SPAN_KINDS;

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** The attributes of an event by which its publisher has put it in a trace, as they were published. */
export interface TraceAttributes {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** One operation, from its beginning to its end. */
export interface Span {
  /** The span as the header `traceparent` of W3C names it. What continues the trace has this as its parent. */
  readonly traceparent: string;
  /** The header `tracestate` beside it; undefined for none. */
  readonly tracestate: string | undefined;
  /** Says something of the operation. Nothing of it may be a payload or a token. */
  set(attributes: SpanAttributes): void;
  /**
   * The operation has failed. Of several calls the first one says why.
   *
   * @param why the code of an error, such as `ACL_ERROR`; never the text of one, which may quote what a client has sent
   */
  fail(why: string): void;
  /** The operation is over. Called once. */
  end(): void;
}

export interface SpanTerms {
  readonly kind: SpanKind;
  /** The operation that this one is a part of. Default: what `event` says. */
  readonly parent?: Span | undefined;
  /** What the event is marked with that the operation is about. What is not valid of it counts as not there. */
  readonly event?: TraceAttributes | undefined;
  /** There is no span where there is nothing that it continues. Default: it begins a trace then. */
  readonly part?: boolean;
  readonly attributes?: SpanAttributes;
}

/**
 * Makes spans. It never throws and never waits, and what it cannot hand on is dropped.
 *
 * @example
 * const span = node.tracer?.start("rpc", { kind: "server" });
 * try {
 *   await work();
 * } finally {
 *   span?.end();
 * }
 */
export interface Tracer {
  /** Begins the span of an operation; undefined where the operation is not in the sample. */
  start(operation: Operation, terms: SpanTerms): Span | undefined;
}
