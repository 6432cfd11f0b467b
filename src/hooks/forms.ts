/** Lifecycle events as messages of `ProxyService`, and in the forms in which they are sent to backends over HTTP. */
import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { LifecycleEvent } from "../engine/ports/lifecycle.ts";
import { LifecycleSchema } from "../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { utf8Encode } from "../protocol/utf8.ts";
import { SOURCE, STRUCTURED_TYPE, TYPES } from "../proxy/http/cloudevents.ts";
import type { Written } from "../proxy/http/form.ts";
import { JSON_TYPE, jsonOf } from "../proxy/http/json.ts";
import { HOOKS, type Hook } from "../proxy/service.ts";

/** A call of a backend, and its message. */
export interface Told<I extends DescMessage = DescMessage> {
  readonly hook: Hook<I>;
  readonly message: MessageShape<I>;
}

/** An event as a message. */
export function toldOf(event: LifecycleEvent): Told {
  const { id: eventId, kind, time, sessionId, userId: username, channel, code, reason } = event;
  const { clientId, clientType, sequence } = event;
  const lifecycle = create(LifecycleSchema, {
    eventId,
    time: timestampFromMs(time),
    clientId,
    clientType,
    sequence: BigInt(sequence),
  });
  const session = { sessionId, username, lifecycle };
  switch (kind) {
    case "connected":
      return told(HOOKS.onConnected, session);
    case "subscribed":
      return told(HOOKS.onSubscribed, { ...session, channel });
    case "unsubscribed":
      return told(HOOKS.onUnsubscribed, { ...session, channel });
    case "disconnected":
      return told(HOOKS.onDisconnected, { ...session, code, reason });
    case "occupied":
      return told(HOOKS.onOccupied, { channel, lifecycle });
    case "vacated":
      return told(HOOKS.onVacated, { channel, lifecycle });
  }
}

function told<I extends DescMessage>(hook: Hook<I>, message: MessageInitShape<I>): Told<I> {
  return { hook, message: create(hook.input, message) };
}

/** One event as a CloudEvent in structured mode. */
export function structured(event: LifecycleEvent): Written {
  return { contentType: STRUCTURED_TYPE, body: encoded(cloudEvent(event)) };
}

/** Events as CloudEvents in batched mode. */
export function batched(events: readonly LifecycleEvent[]): Written {
  return {
    contentType: "application/cloudevents-batch+json",
    body: encoded(events.map(cloudEvent)),
  };
}

function cloudEvent(event: LifecycleEvent): unknown {
  const { channel, id, time, sessionId } = event;
  const { hook, message } = toldOf(event);
  return {
    specversion: "1.0",
    id,
    source: SOURCE,
    type: `${TYPES}${hook.name}`,
    subject: sessionId || channel,
    time: new Date(time).toISOString(),
    datacontenttype: JSON_TYPE,
    data: jsonOf(hook.input, message),
  };
}

function encoded(value: unknown): Uint8Array {
  return utf8Encode(JSON.stringify(value));
}
