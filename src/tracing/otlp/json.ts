/** Spans as OTLP has them in JSON, where ids are hexadecimal and long numbers are texts. */
import { SPAN_KINDS, type SpanAttributes } from "../../engine/ports/tracing.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import type { EndedSpan } from "./recorder.ts";
import { allAttributes, flagsOf, nanosOf, type Resource, STATUS_ERROR } from "./request.ts";

/** An ExportTraceServiceRequest. */
export function jsonRequest(resource: Resource, spans: readonly EndedSpan[]): Uint8Array {
  const { scope, attributes } = resource;
  const resourceSpans = [
    {
      resource: { attributes: attributesOf(attributes) },
      scopeSpans: [{ scope, spans: spans.map(spanOf) }],
    },
  ];
  return utf8Encode(JSON.stringify({ resourceSpans }));
}

function spanOf(span: EndedSpan): object {
  const { traceId, spanId, parent, operation, kind, startedAt, endedAt, failure } = span;
  return {
    traceId,
    spanId,
    ...(parent?.tracestate === undefined ? {} : { traceState: parent.tracestate }),
    ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
    flags: flagsOf(span),
    name: operation,
    kind: SPAN_KINDS[kind],
    startTimeUnixNano: `${nanosOf(startedAt)}`,
    endTimeUnixNano: `${nanosOf(endedAt)}`,
    attributes: attributesOf(allAttributes(span)),
    status: failure === undefined ? {} : { code: STATUS_ERROR },
  };
}

function attributesOf(attributes: SpanAttributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: string | number | boolean): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: `${value}` } : { doubleValue: value };
}
