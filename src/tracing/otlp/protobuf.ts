/** Spans as OTLP has them in protobuf. Fields are those of opentelemetry.proto.collector.trace.v1. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { SPAN_KINDS, type SpanAttributes } from "../../engine/ports/tracing.ts";
import type { EndedSpan } from "./recorder.ts";
import { allAttributes, flagsOf, nanosOf, type Resource, STATUS_ERROR } from "./request.ts";

/** An ExportTraceServiceRequest. */
export function protobufRequest(resource: Resource, spans: readonly EndedSpan[]): Uint8Array {
  const { scope, attributes } = resource;
  const writer = new BinaryWriter();
  inner(writer, 1, () => {
    inner(writer, 1, () => writeAttributes(writer, 1, attributes));
    inner(writer, 2, () => {
      inner(writer, 1, () => text(writer, 1, scope.name));
      for (const span of spans) inner(writer, 2, () => writeSpan(writer, span));
    });
  });
  return writer.finish();
}

function writeSpan(writer: BinaryWriter, span: EndedSpan): void {
  const { traceId, spanId, parent, operation, kind, startedAt, endedAt, failure } = span;
  bytes(writer, 1, traceId);
  bytes(writer, 2, spanId);
  if (parent?.tracestate !== undefined) text(writer, 3, parent.tracestate);
  if (parent !== undefined) bytes(writer, 4, parent.spanId);
  text(writer, 5, operation);
  writer.tag(6, WireType.Varint).int32(SPAN_KINDS[kind]);
  writer.tag(7, WireType.Bit64).fixed64(nanosOf(startedAt));
  writer.tag(8, WireType.Bit64).fixed64(nanosOf(endedAt));
  writeAttributes(writer, 9, allAttributes(span));
  if (failure !== undefined) {
    inner(writer, 15, () => writer.tag(3, WireType.Varint).int32(STATUS_ERROR));
  }
  writer.tag(16, WireType.Bit32).fixed32(flagsOf(span));
}

function writeAttributes(writer: BinaryWriter, field: number, attributes: SpanAttributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    inner(writer, field, () => {
      text(writer, 1, key);
      inner(writer, 2, () => writeValue(writer, value));
    });
  }
}

function writeValue(writer: BinaryWriter, value: string | number | boolean): void {
  if (typeof value === "string") text(writer, 1, value);
  else if (typeof value === "boolean") writer.tag(2, WireType.Varint).bool(value);
  else if (Number.isSafeInteger(value)) writer.tag(3, WireType.Varint).int64(value);
  else writer.tag(4, WireType.Bit64).double(value);
}

function inner(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

/** An id, which is hexadecimal everywhere else. */
function bytes(writer: BinaryWriter, field: number, id: string): void {
  const pairs = id.match(/../g) ?? [];
  const value = Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
  writer.tag(field, WireType.LengthDelimited).bytes(value);
}
