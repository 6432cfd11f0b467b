/** Events as programs for the SDK of v0.1.1 know them: instances of the `CloudEvent` of the `cloudevents` package. */
import { type CloudEvent as EventLike, fromWireEvent } from "../core/cloud-event.ts";
import { type CloudEventInit, createCloudEvent as createEvent } from "../core/create-event.ts";
import type { WireEvent } from "../wire/frames.ts";
import { toBase64 } from "../wire/values.ts";
import { cloudEvents } from "./peers.ts";

export type { EventLike };

/**
 * A `CloudEvent` of the `cloudevents` package, which cannot be changed. One that has come without a time has none, whereas
 * the constructor of the package makes one up.
 */
export interface CloudEvent<T = unknown> extends EventLike<T> {
  /** The data, where it is bytes. */
  readonly data_base64?: string;
  toJSON(): Record<string, unknown>;
  toString(): string;
  /** @throws ValidationError of the package for what is no CloudEvent */
  validate(): boolean;
  emit(ensureDelivery?: boolean): Promise<this>;
  /** Another event, with some of it replaced. */
  cloneWith<D = T>(options: Partial<EventLike<D>>, strict?: boolean): CloudEvent<D>;
}

/** Of all events; made when the first one is. */
let prototype: object | undefined;

/**
 * Builds an event. A `Uint8Array` is sent as bytes, a string as text, anything else as JSON.
 *
 * @throws TypeError when source or type is empty, or an extension's name is not lower-case letters and digits; MessagingError
 * UNIMPLEMENTED where the `cloudevents` package is not installed
 *
 * @example createCloudEvent({ source: "/orders", type: "order.placed", data: { id: 7 } })
 */
export function createCloudEvent<T = unknown>(init: CloudEventInit<T>): CloudEvent<T> {
  return eventOf(createEvent(init));
}

/** @throws MessagingError UNIMPLEMENTED where the package is not installed */
export function eventOf<T>(event: EventLike<T>): CloudEvent<T> {
  prototype ??= createPrototype();
  return Object.freeze(Object.assign(Object.create(prototype), event)) as CloudEvent<T>;
}

/**
 * A received event.
 *
 * @throws RangeError for a time that is none
 */
export function receivedEvent(wire: WireEvent): CloudEvent {
  return normalized(fromWireEvent(wire));
}

/**
 * An event as it came, whose time is given to the millisecond whatever the encoding.
 *
 * @throws RangeError for a time that is none
 */
export function normalized(event: EventLike): CloudEvent {
  if (event.time === undefined) return eventOf(event);
  return eventOf({ ...event, time: new Date(event.time).toISOString() });
}

/** An event without what the package's own constructor adds to those whose data is bytes. */
export function plainEvent(event: EventLike): EventLike {
  if (!Object.hasOwn(event, "data_base64")) return event;
  const { data_base64: _, ...rest } = event;
  return rest as EventLike;
}

function createPrototype(): object {
  class Event extends cloudEvents().CloudEvent {
    get data_base64(): string | undefined {
      const { data } = this as unknown as EventLike;
      return data instanceof Uint8Array ? toBase64(data) : undefined;
    }

    /** In CloudEvents' JSON format. The one of the package cannot do without a time. */
    override toJSON(): Record<string, unknown> {
      const entries = Object.entries(this).map(([name, value]): [string, unknown] => {
        if (!(value instanceof Uint8Array)) return [name, value];
        return [name === "data" ? "data_base64" : name, toBase64(value)];
      });
      return Object.fromEntries(entries);
    }
  }
  return Event.prototype;
}
