/** Spans by OpenTelemetry's own SDK. Nothing else imports it, and this file is loaded where tracing is configured alone. */
import {
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type SpanExporter,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "../../engine/ports/platform.ts";
import { SPAN_KINDS, type Span, type SpanAttributes } from "../../engine/ports/tracing.ts";
import type { TracingTerms } from "../../tracing/terms.ts";
import { formatTraceparent } from "../../tracing/trace-context.ts";
import { type BeginSpan, type ParentContext, shortened } from "../../tracing/tracer.ts";
import { VERSION } from "../version.ts";

/** Spans that wait, and how long they wait for others, in milliseconds. */
const MAX_WAITING = 4_096;
const COLLECT_MS = 1_000;
/** How long a collector may take, in milliseconds. */
const TIMEOUT_MS = 5_000;

export interface OpenTelemetry {
  readonly begin: BeginSpan;
  /** Hands over what waits, and ends. It never rejects. */
  close(): Promise<void>;
}

export async function openTelemetry(
  { url, protocol, headers, serviceName }: TracingTerms,
  logger: Logger,
): Promise<OpenTelemetry> {
  const { OTLPTraceExporter } =
    protocol === "http/json"
      ? await import("@opentelemetry/exporter-trace-otlp-http")
      : await import("@opentelemetry/exporter-trace-otlp-proto");
  const exporter = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: TIMEOUT_MS,
  });
  const processor = new BatchSpanProcessor({
    exporter: reporting(exporter, logger),
    maxQueueSize: MAX_WAITING,
    scheduledDelayMillis: COLLECT_MS,
    exportTimeoutMillis: TIMEOUT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": serviceName, "service.version": VERSION }),
    // What is in the sample has been decided.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer("messageloop", VERSION);
  return {
    begin: ({ operation, kind, parent, attributes }) => {
      // The library counts kinds from 0.
      const options = { kind: SPAN_KINDS[kind] - 1, attributes };
      const context = parent === undefined ? ROOT_CONTEXT : contextOf(parent);
      return new SdkSpan(tracer.startSpan(operation, options, context), parent?.tracestate);
    },
    close: async () => {
      try {
        await provider.shutdown();
      } catch (error) {
        logger.warn("spans cannot be exported", { error: String(error) });
      }
    },
  };
}

class SdkSpan implements Span {
  readonly tracestate: string | undefined;
  readonly #span: OtelSpan;
  #hasFailed = false;

  constructor(span: OtelSpan, tracestate: string | undefined) {
    this.#span = span;
    this.tracestate = tracestate;
  }

  get traceparent(): string {
    return formatTraceparent(this.#span.spanContext());
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(shortened(attributes));
  }

  fail(why: string): void {
    // What has failed first says why.
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.setAttribute("error.type", why);
  }

  end(): void {
    this.#span.end();
  }
}

function contextOf({ traceId, spanId, tracestate, remote }: ParentContext) {
  const state = tracestate === undefined ? {} : { traceState: createTraceState(tracestate) };
  const parent = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: remote, ...state };
  return trace.setSpanContext(ROOT_CONTEXT, parent);
}

/** An exporter whose failures are in our log: the library has a log of its own that is silent. */
function reporting(exporter: SpanExporter, logger: Logger): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.code !== 0) {
          const error = result.error?.message ?? "unknown";
          logger.warn("spans cannot be exported", { spans: spans.length, error });
        }
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}
