/** CloudEvents as applications see them, and their way to the wire and back. */
import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PROTOBUF_CONTENT_TYPE } from "../../protocol/cloudevents.ts";
import {
  type CloudEventAttributeValue,
  CloudEventAttributeValueSchema,
  CloudEventSchema,
  type CloudEvent as WireEvent,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { utf8Decode } from "../../protocol/utf8.ts";

/** What an extension attribute may hold; numbers are 32-bit integers. */
export type ExtensionValue = string | number | boolean | Uint8Array | Date;

/**
 * One event, shaped like the CloudEvents JavaScript SDK's: extension attributes stand beside the
 * others under their lower-case names.
 */
export interface CloudEvent<T = unknown> {
  id: string;
  /** A URI reference that names the producer. With `id` it identifies the event. */
  source: string;
  specversion: string;
  type: string;
  datacontenttype?: string;
  dataschema?: string;
  subject?: string;
  /** RFC 3339. */
  time?: string;
  data?: T;
  [extension: string]: unknown;
}

/** The parts of an event for {@link createCloudEvent}. */
export interface CloudEventInit<T = unknown> {
  /** A random UUID when left out. */
  id?: string;
  source: string;
  type: string;
  data?: T;
  /** Taken from the data when left out: text/plain, application/json, or application/octet-stream. */
  datacontenttype?: string;
  dataschema?: string;
  subject?: string;
  time?: string | Date;
  extensions?: Readonly<Record<string, ExtensionValue>>;
}

const EXTENSION_NAME = /^[a-z0-9]+$/;
const CORE_NAMES: ReadonlySet<string> = new Set([
  "id",
  "source",
  "specversion",
  "type",
  "datacontenttype",
  "dataschema",
  "subject",
  "time",
  "data",
]);

/**
 * Builds an event. A `Uint8Array` is sent as bytes, a string as text, anything else as JSON.
 *
 * @throws TypeError when source or type is empty, or an extension's name is not lower-case letters
 * and digits.
 */
export function createCloudEvent<T = unknown>(init: CloudEventInit<T>): CloudEvent<T> {
  if (init.source === "") throw new TypeError("a CloudEvent needs a source");
  if (init.type === "") throw new TypeError("a CloudEvent needs a type");
  const event: CloudEvent<T> = {
    id: init.id ?? randomUuid(),
    source: init.source,
    specversion: "1.0",
    type: init.type,
  };
  const contentType = init.datacontenttype ?? contentTypeOf(init.data);
  if (contentType !== undefined) event.datacontenttype = contentType;
  if (init.dataschema !== undefined) event.dataschema = init.dataschema;
  if (init.subject !== undefined) event.subject = init.subject;
  if (init.time !== undefined) {
    event.time = typeof init.time === "string" ? init.time : init.time.toISOString();
  }
  if (init.data !== undefined) event.data = init.data;
  for (const [name, value] of Object.entries(init.extensions ?? {})) {
    if (!EXTENSION_NAME.test(name) || CORE_NAMES.has(name)) {
      throw new TypeError(`${name} cannot name an extension attribute`);
    }
    (event as Record<string, unknown>)[name] = value;
  }
  return event;
}

/**
 * An event as the wire carries it.
 *
 * @throws TypeError for an attribute value or data that CloudEvents cannot carry.
 */
export function toWireEvent(event: CloudEvent): WireEvent {
  const attributes: Record<string, CloudEventAttributeValue> = {};
  const contentType = event.datacontenttype ?? contentTypeOf(event.data);
  if (contentType !== undefined) attributes["datacontenttype"] = text(contentType);
  if (event.subject !== undefined) attributes["subject"] = text(event.subject);
  if (event.dataschema !== undefined) {
    attributes["dataschema"] = attribute({ case: "ceUri", value: event.dataschema });
  }
  if (event.time !== undefined) attributes["time"] = timestamp(new Date(event.time));
  for (const [name, value] of Object.entries(event)) {
    if (!CORE_NAMES.has(name) && value !== undefined && value !== null) {
      attributes[name] = extension(name, value);
    }
  }
  return create(CloudEventSchema, {
    id: event.id,
    source: event.source,
    specVersion: event.specversion || "1.0",
    type: event.type,
    attributes,
    data: wireData(event.data),
  });
}

/** A received event as applications see it. Data that claims to be JSON but is not stays text. */
export function fromWireEvent(wire: WireEvent): CloudEvent {
  const event: CloudEvent = {
    id: wire.id,
    source: wire.source,
    specversion: wire.specVersion || "1.0",
    type: wire.type,
  };
  for (const [name, { attr }] of Object.entries(wire.attributes)) {
    if (attr.case === undefined) continue;
    const value = attr.case === "ceTimestamp" ? timestampDate(attr.value) : attr.value;
    event[name] = value instanceof Date && name === "time" ? value.toISOString() : value;
  }
  if (wire.data.case === "protoData") {
    event.datacontenttype = PROTOBUF_CONTENT_TYPE;
    event.dataschema = wire.data.value.typeUrl;
    event.data = wire.data.value.value;
  } else if (wire.data.case !== undefined) {
    event.data = readData(wire.data.value, event.datacontenttype);
  }
  return event;
}

/** A random UUID, also where a page without TLS hides `crypto.randomUUID`. */
export function randomUuid(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ];
  return parts.join("-");
}

function contentTypeOf(data: unknown): string | undefined {
  if (data === undefined) return undefined;
  if (data instanceof Uint8Array) return "application/octet-stream";
  return typeof data === "string" ? "text/plain" : "application/json";
}

function wireData(data: unknown): WireEvent["data"] {
  if (data === undefined) return { case: undefined };
  if (data instanceof Uint8Array) return { case: "binaryData", value: data };
  if (typeof data === "string") return { case: "textData", value: data };
  const json = JSON.stringify(data) as string | undefined;
  if (json === undefined) throw new TypeError("the event's data has no JSON form");
  return { case: "textData", value: json };
}

function readData(value: string | Uint8Array, contentType: string | undefined): unknown {
  const kind = contentType?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (kind === "application/json" || kind === "text/json" || kind.endsWith("+json")) {
    const json = typeof value === "string" ? value : utf8Decode(value);
    try {
      return JSON.parse(json) as unknown;
    } catch {
      return value;
    }
  }
  if (kind.startsWith("text/") && typeof value !== "string") return utf8Decode(value);
  return value;
}

function extension(name: string, value: unknown): CloudEventAttributeValue {
  if (typeof value === "string") return text(value);
  if (typeof value === "boolean") return attribute({ case: "ceBoolean", value });
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= 0x7fff_ffff) {
    return attribute({ case: "ceInteger", value });
  }
  if (value instanceof Uint8Array) return attribute({ case: "ceBytes", value });
  if (value instanceof Date) return timestamp(value);
  throw new TypeError(`attribute ${name} has a value that CloudEvents cannot carry`);
}

function text(value: string): CloudEventAttributeValue {
  return attribute({ case: "ceString", value });
}

function timestamp(date: Date): CloudEventAttributeValue {
  if (Number.isNaN(date.getTime())) throw new TypeError("the event's time is not a date");
  return attribute({ case: "ceTimestamp", value: timestampFromDate(date) });
}

function attribute(attr: CloudEventAttributeValue["attr"]): CloudEventAttributeValue {
  return create(CloudEventAttributeValueSchema, { attr });
}
