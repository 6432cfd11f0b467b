/**
 * A collector of traces as strict as its protocol: OTLP over HTTP in protobuf and in JSON, where whatever is unknown, or not of
 * its type, is a problem. Its schema stands here by itself, so that no encoder is looked at with its own eyes.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  createFileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

type Field = readonly [name: string, number: number, type: string, repeated?: "repeated"];

const MESSAGES: Readonly<Record<string, readonly Field[]>> = {
  ExportTraceServiceRequest: [["resource_spans", 1, "ResourceSpans", "repeated"]],
  ResourceSpans: [
    ["resource", 1, "Resource"],
    ["scope_spans", 2, "ScopeSpans", "repeated"],
    ["schema_url", 3, "STRING"],
  ],
  Resource: [
    ["attributes", 1, "KeyValue", "repeated"],
    ["dropped_attributes_count", 2, "UINT32"],
  ],
  ScopeSpans: [
    ["scope", 1, "InstrumentationScope"],
    ["spans", 2, "Span", "repeated"],
    ["schema_url", 3, "STRING"],
  ],
  InstrumentationScope: [
    ["name", 1, "STRING"],
    ["version", 2, "STRING"],
    ["attributes", 3, "KeyValue", "repeated"],
    ["dropped_attributes_count", 4, "UINT32"],
  ],
  Span: [
    ["trace_id", 1, "BYTES"],
    ["span_id", 2, "BYTES"],
    ["trace_state", 3, "STRING"],
    ["parent_span_id", 4, "BYTES"],
    ["name", 5, "STRING"],
    ["kind", 6, "INT32"],
    ["start_time_unix_nano", 7, "FIXED64"],
    ["end_time_unix_nano", 8, "FIXED64"],
    ["attributes", 9, "KeyValue", "repeated"],
    ["dropped_attributes_count", 10, "UINT32"],
    ["events", 11, "Nothing", "repeated"],
    ["dropped_events_count", 12, "UINT32"],
    ["links", 13, "Nothing", "repeated"],
    ["dropped_links_count", 14, "UINT32"],
    ["status", 15, "Status"],
    ["flags", 16, "FIXED32"],
  ],
  Status: [
    ["message", 2, "STRING"],
    ["code", 3, "INT32"],
  ],
  KeyValue: [
    ["key", 1, "STRING"],
    ["value", 2, "AnyValue"],
  ],
  AnyValue: [
    ["string_value", 1, "STRING"],
    ["bool_value", 2, "BOOL"],
    ["int_value", 3, "INT64"],
    ["double_value", 4, "DOUBLE"],
  ],
  // Spans of ours have neither events nor links.
  Nothing: [],
};

const REQUEST = requestSchema();

/** Of a resource, with the names that JSON has. */
interface ResourceJson {
  readonly resource?: { readonly attributes?: readonly KeyValueJson[] };
  readonly scopeSpans?: readonly { readonly spans?: readonly SpanJson[] }[];
}

interface KeyValueJson {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | number | boolean>>;
}

interface SpanJson {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name?: string;
  readonly kind?: number;
  readonly startTimeUnixNano?: string;
  readonly endTimeUnixNano?: string;
  readonly attributes?: readonly KeyValueJson[];
  readonly status?: { readonly code?: number };
  readonly flags?: number;
}

/** A span that has been found to be in order. */
export interface ReceivedSpan {
  readonly service: unknown;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly tracestate: string;
  readonly name: string;
  readonly kind: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface Collector {
  /** What goes into `tracing.endpoint`. */
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** What is wrong with requests that have come. */
  readonly problems: string[];
  /** Types and headers of the requests. */
  readonly requests: { readonly type: string; readonly authorization: string | undefined }[];
  stop(): Promise<void>;
}

/** @param status what it answers with. Default 200 */
export async function collector(status = 200): Promise<Collector> {
  const [spans, problems]: [ReceivedSpan[], string[]] = [[], []];
  const requests: { type: string; authorization: string | undefined }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const type = `${request.headers["content-type"]}`;
    requests.push({ type, authorization: request.headers.authorization });
    try {
      if (request.method !== "POST" || request.url !== "/v1/traces") {
        throw new Error(`${request.method} ${request.url}`);
      }
      spans.push(...spansIn(type, Buffer.concat(chunks)));
    } catch (error) {
      problems.push(String(error));
    }
    response.writeHead(status, { "content-type": type }).end(type.includes("json") ? "{}" : "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    problems,
    requests,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** @throws Error that says what is wrong with a request */
export function spansIn(type: string, body: Uint8Array): ReceivedSpan[] {
  const text = new TextDecoder("utf-8", { fatal: true });
  let request: JsonValue;
  if (type === "application/json") {
    request = JSON.parse(text.decode(body)) as JsonValue;
    checkIds(request);
    fromJson(REQUEST, withBase64(request) as JsonValue);
  } else {
    if (type !== "application/x-protobuf") throw new Error(`the type ${type}`);
    const message = fromBinary(REQUEST, body);
    checkKnown(message);
    request = withHex(toJson(REQUEST, message)) as JsonValue;
  }
  const { resourceSpans = [] } = request as { resourceSpans?: readonly ResourceJson[] };
  if (resourceSpans.length === 0) throw new Error("a request without spans");
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const { "service.name": service } = attributesOf(resource?.attributes);
    if (typeof service !== "string") throw new Error("spans of no service");
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => checked(service, span)));
  });
}

function checked(service: string, span: SpanJson): ReceivedSpan {
  const { traceId = "", spanId = "", parentSpanId = "", name = "", kind = 0, flags = 0 } = span;
  const wrong = (what: string): never => {
    throw new Error(`${what} of ${JSON.stringify(span)}`);
  };
  if (!/^[0-9a-f]{32}$/.test(traceId) || /^0+$/.test(traceId)) wrong("the trace id");
  if (!/^[0-9a-f]{16}$/.test(spanId) || /^0+$/.test(spanId)) wrong("the span id");
  if (parentSpanId !== "" && (!/^[0-9a-f]{16}$/.test(parentSpanId) || /^0+$/.test(parentSpanId))) {
    wrong("the parent");
  }
  if (parentSpanId === spanId) wrong("the parent is the span");
  if (name === "") wrong("no name");
  if (!(kind >= 1 && kind <= 5)) wrong("the kind");
  if ((flags & 1) !== 1) wrong("the flags");
  const [start, end] = [span.startTimeUnixNano ?? "", span.endTimeUnixNano ?? ""].map(Number);
  if (start === undefined || end === undefined || end < start) return wrong("the times");
  if (Math.abs(start / 1e6 - Date.now()) > 600_000) wrong("the time");
  const code = span.status?.code ?? 0;
  if (code !== 0 && code !== 2) wrong("the status");
  return {
    service,
    traceId,
    spanId,
    parentSpanId,
    tracestate: span.traceState ?? "",
    name,
    kind,
    failed: code === 2,
    attributes: attributesOf(span.attributes),
  };
}

function attributesOf(attributes: readonly KeyValueJson[] = []): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { key = "", value = {} } of attributes) {
    const [one, ...more] = Object.entries(value);
    if (key === "" || key in found || one === undefined || more.length > 0) {
      throw new Error(`the attribute ${key}`);
    }
    if (typeof one[1] === "string" && !one[1].isWellFormed()) throw new Error(`the text of ${key}`);
    found[key] = one[0] === "intValue" ? Number(one[1]) : one[1];
  }
  return found;
}

const IDS = /^(?:traceId|spanId|parentSpanId)$/;

/** In JSON ids are hexadecimal, and nothing else is. */
function checkIds(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    if (IDS.test(name) && !/^(?:[0-9a-f]{2})*$/.test(`${inner}`))
      throw new Error(`the id ${inner}`);
    checkIds(inner);
  }
}

const withBase64 = (value: unknown) => withIds(value, "hex", "base64");
const withHex = (value: unknown) => withIds(value, "base64", "hex");

function withIds(value: unknown, from: BufferEncoding, to: BufferEncoding): unknown {
  if (Array.isArray(value)) return value.map((inner) => withIds(inner, from, to));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [
    name,
    IDS.test(name) ? Buffer.from(`${inner}`, from).toString(to) : withIds(inner, from, to),
  ]);
  return Object.fromEntries(entries);
}

function checkKnown(value: unknown): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (((value as Message).$unknown ?? []).length > 0) {
    throw new Error(`unknown fields of ${(value as Message).$typeName}`);
  }
  for (const inner of Object.values(value)) checkKnown(inner);
}

function requestSchema() {
  const scalar = /^[A-Z0-9]+$/;
  const messageType = Object.entries(MESSAGES).map(([name, fields]) => ({
    name,
    ...(name === "AnyValue" ? { oneofDecl: [{ name: "value" }] } : {}),
    field: fields.map(([field, number, type, repeated]) => ({
      name: field,
      number,
      label: repeated === undefined ? "LABEL_OPTIONAL" : "LABEL_REPEATED",
      ...(scalar.test(type)
        ? { type: `TYPE_${type}` }
        : { type: "TYPE_MESSAGE", typeName: `.otlp.${type}` }),
      jsonName: field.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      ...(name === "AnyValue" ? { oneofIndex: 0 } : {}),
    })),
  }));
  const file = { name: "otlp.proto", package: "otlp", syntax: "proto3", messageType };
  const registry = createFileRegistry(fromJson(FileDescriptorProtoSchema, file), () => undefined);
  const schema = registry.getMessage("otlp.ExportTraceServiceRequest");
  if (schema === undefined) throw new Error("no schema");
  return schema;
}
