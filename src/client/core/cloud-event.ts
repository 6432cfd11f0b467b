/** CloudEvents as applications see them, and their way to the wire and back. */
import type { WireAttribute, WireEvent } from "../wire/frames.ts";
import { textOf } from "../wire/json.ts";

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
  const { id, source, specversion, type, data, ...others } = event;
  const attributes: Record<string, WireAttribute> = {};
  others.datacontenttype ??= contentTypeOf(data) as string;
  for (const [name, value] of Object.entries(others)) {
    if (value === undefined || value === null) continue;
    attributes[name] =
      name === "dataschema"
        ? { ce_uri: value as string }
        : attributeOf(name, name === "time" ? new Date(value as string) : value);
  }
  return { id, source, spec_version: specversion || "1.0", type, attributes, ...wireData(data) };
}

/** A received event as applications see it. Data that claims to be JSON but is not stays text. */
export function fromWireEvent(wire: WireEvent): CloudEvent {
  const { id = "", source = "", spec_version, type = "", attributes, text_data } = wire;
  const event: CloudEvent = { id, source, specversion: spec_version || "1.0", type };
  for (const name in attributes) {
    const attribute = attributes[name];
    // Exactly one member is there, whatever its kind.
    for (const kind in attribute) {
      const value = attribute[kind as keyof WireAttribute];
      const isExtension = kind === "ce_timestamp" && name !== "time";
      event[name] = isExtension ? new Date(value as string) : value;
    }
  }
  const data = text_data ?? wire.binary_data;
  if (data !== undefined) event.data = readData(data, event.datacontenttype);
  else if (wire.json_data !== undefined) event.data = wire.json_data;
  return event;
}

/** A random UUID. */
export function randomUuid(): string {
  return crypto.randomUUID?.() ?? uuidOfUrl();
}

/** A page without TLS makes none, but the address of everything that is made in it ends with one. */
function uuidOfUrl(): string {
  const url = URL.createObjectURL(new Blob());
  URL.revokeObjectURL(url);
  return url.slice(-36);
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
  if (text === undefined) throw new TypeError("data has no JSON form");
  return { text_data: text };
}

function readData(value: string | Uint8Array<ArrayBuffer>, contentType = ""): unknown {
  try {
    if (/^[^;]*[/+]json\b/i.test(contentType)) return JSON.parse(textOf(value));
  } catch {
    return value;
  }
  return /^text\//i.test(contentType) ? textOf(value) : value;
}

function attributeOf(name: string, value: unknown): WireAttribute {
  if (typeof value === "string") return { ce_string: value };
  if (typeof value === "boolean") return { ce_boolean: value };
  if (value instanceof Uint8Array) return { ce_bytes: value as Uint8Array<ArrayBuffer> };
  // JSON has null for a date that is none.
  const time = value instanceof Date && value.toJSON();
  if (time) return { ce_timestamp: time };
  // As 32 bits it is the same number.
  if (value === Number(value) >> 0) return { ce_integer: value };
  throw new TypeError(`CloudEvents cannot carry ${name}`);
}
