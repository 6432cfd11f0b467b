/** Events that applications make. */
import { type CloudEvent, contentTypeOf, randomUuid } from "./cloud-event.ts";

/** Names that no extension has. */
const CORE_NAMES = /^(?:id|source|specversion|type|datacontenttype|dataschema|subject|time|data)$/;

/** What an extension attribute may hold; numbers are 32-bit integers. */
export type ExtensionValue = string | number | boolean | Uint8Array | Date;

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

/**
 * Builds an event. A `Uint8Array` is sent as bytes, a string as text, anything else as JSON.
 *
 * @throws TypeError when source or type is empty, or an extension's name is not lower-case letters and digits.
 *
 * @example createCloudEvent({ source: "/orders", type: "order.placed", data: { id: 7 } })
 */
export function createCloudEvent<T = unknown>(init: CloudEventInit<T>): CloudEvent<T> {
  const { extensions = {}, id = randomUuid(), source, type, time, ...rest } = init;
  if (!source) throw new TypeError("a CloudEvent needs a source");
  if (!type) throw new TypeError("a CloudEvent needs a type");
  const event: CloudEvent<T> = { id, source, specversion: "1.0", type };
  const contentType = rest.datacontenttype ?? contentTypeOf(rest.data);
  if (contentType !== undefined) event.datacontenttype = contentType;
  if (time !== undefined) event.time = typeof time === "string" ? time : time.toISOString();
  for (const [name, value] of Object.entries(rest)) {
    if (value !== undefined) (event as Record<string, unknown>)[name] = value;
  }
  for (const [name, value] of Object.entries(extensions)) {
    if (!/^[a-z0-9]+$/.test(name) || CORE_NAMES.test(name)) {
      throw new TypeError(`${name} cannot name an extension attribute`);
    }
    (event as Record<string, unknown>)[name] = value;
  }
  return event;
}
