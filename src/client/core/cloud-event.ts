/** CloudEvents as applications see them, and their way to the wire and back. */
import type { WireAttribute, WireEvent } from "../wire/frames.ts";

/**
 * One event, shaped like the CloudEvents JavaScript SDK's: extension attributes stand beside the others under their
 * lower-case names.
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

/** Names that no extension has. */
export const CORE_NAMES =
  /^(?:id|source|specversion|type|datacontenttype|dataschema|subject|time|data)$/;

/** Whether something is an event, and not only the data of one. */
export function isCloudEvent(value: unknown): value is CloudEvent {
  const { id, source, type, specversion } = (value ?? {}) as Partial<CloudEvent>;
  return [id, source, type, specversion].every((part) => typeof part === "string");
}

/**
 * An event as the wire carries it.
 *
 * @throws TypeError for an attribute value or data that CloudEvents cannot carry.
 */
export function toWireEvent(event: CloudEvent): WireEvent {
  const attributes: Record<string, WireAttribute> = {};
  const contentType = event.datacontenttype ?? contentTypeOf(event.data);
  if (contentType !== undefined) attributes["datacontenttype"] = { ce_string: contentType };
  if (event.subject !== undefined) attributes["subject"] = { ce_string: event.subject };
  if (event.dataschema !== undefined) attributes["dataschema"] = { ce_uri: event.dataschema };
  if (event.time !== undefined) attributes["time"] = attributeOf("time", new Date(event.time));
  for (const [name, value] of Object.entries(event)) {
    if (!CORE_NAMES.test(name) && value !== undefined && value !== null) {
      attributes[name] = attributeOf(name, value);
    }
  }
  const { id, source, type } = event;
  return {
    id,
    source,
    spec_version: event.specversion || "1.0",
    type,
    attributes,
    ...wireData(event.data),
  };
}

/** A received event as applications see it. Data that claims to be JSON but is not stays text. */
export function fromWireEvent(wire: WireEvent): CloudEvent {
  const event: CloudEvent = {
    id: wire.id ?? "",
    source: wire.source ?? "",
    specversion: wire.spec_version || "1.0",
    type: wire.type ?? "",
  };
  for (const name in wire.attributes) {
    const attribute = wire.attributes[name];
    // Exactly one member is there, whatever its kind.
    for (const kind in attribute) {
      const value = attribute[kind as keyof WireAttribute];
      const isExtension = kind === "ce_timestamp" && name !== "time";
      event[name] = isExtension ? new Date(value as string) : value;
    }
  }
  const { proto_data: message } = wire;
  if (message !== undefined) {
    event.datacontenttype = "application/protobuf";
    event.dataschema = message.type_url ?? "";
    event.data = message.value ?? new Uint8Array();
  }
  const data = wire.text_data ?? wire.binary_data;
  if (data !== undefined) event.data = readData(data, event.datacontenttype);
  return event;
}

/** A random UUID, also where a page without TLS hides `crypto.randomUUID`. */
export function randomUuid(): string {
  return (
    crypto.randomUUID?.() ??
    "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) => {
      const [random = 0] = crypto.getRandomValues(new Uint8Array(1));
      return (Number(digit) ^ (random & (15 >> (Number(digit) / 4)))).toString(16);
    })
  );
}

/** What data is sent as. */
export function contentTypeOf(data: unknown): string | undefined {
  if (data === undefined) return undefined;
  if (data instanceof Uint8Array) return "application/octet-stream";
  return typeof data === "string" ? "text/plain" : "application/json";
}

function wireData(data: unknown): Pick<WireEvent, "binary_data" | "text_data"> {
  if (data === undefined) return {};
  if (data instanceof Uint8Array) return { binary_data: data as Uint8Array<ArrayBuffer> };
  const text = typeof data === "string" ? data : (JSON.stringify(data) as string | undefined);
  if (text === undefined) throw new TypeError("the event's data has no JSON form");
  return { text_data: text };
}

function readData(value: string | Uint8Array<ArrayBuffer>, contentType = ""): unknown {
  const isJson = /^(?:application|text)\/json\b|^[^;]*\+json\b/i.test(contentType);
  if (!isJson && !/^text\//i.test(contentType)) return value;
  const text = typeof value === "string" ? value : new TextDecoder().decode(value);
  if (!isJson) return text;
  try {
    return JSON.parse(text);
  } catch {
    return value;
  }
}

function attributeOf(name: string, value: unknown): WireAttribute {
  if (typeof value === "string") return { ce_string: value };
  if (typeof value === "boolean") return { ce_boolean: value };
  if (Number.isInteger(value) && (value as number) === (value as number) >> 0) {
    return { ce_integer: value as number };
  }
  if (value instanceof Uint8Array) return { ce_bytes: value as Uint8Array<ArrayBuffer> };
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    return { ce_timestamp: value.toISOString() };
  }
  throw new TypeError(`attribute ${name} has a value that CloudEvents cannot carry`);
}
