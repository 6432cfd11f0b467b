/** What spans of the engine say, in the words of OpenTelemetry's conventions for messaging. */
import { MessagingError } from "../protocol/errors.ts";
import type { CloudEvent } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { traceAttributesOf } from "../protocol/plain-protobuf/trace-attributes.ts";
import type { Operation, Span, SpanAttributes, TraceAttributes, Tracer } from "./ports/tracing.ts";

/** `messaging.system` of every span. */
export const SYSTEM = "messageloop";

/** What the conventions call an operation of theirs; others have a name alone. */
const TYPES: Readonly<Partial<Record<Operation, string>>> = { publish: "send" };

/** What is known of an operation in a channel. */
export function channelAttributes(operation: Operation, channel: string): SpanAttributes {
  const type = TYPES[operation];
  return {
    "messaging.system": SYSTEM,
    "messaging.operation.name": operation,
    ...(type === undefined ? {} : { "messaging.operation.type": type }),
    "messaging.destination.name": channel,
  };
}

/** What an event is marked with. Only texts can be valid. */
export function traceAttributes({ attributes }: CloudEvent): TraceAttributes {
  return {
    traceparent: textOf(attributes, "traceparent"),
    tracestate: textOf(attributes, "tracestate"),
  };
}

function textOf(attributes: CloudEvent["attributes"], name: string): string | undefined {
  const attr = Object.hasOwn(attributes, name) ? attributes[name]?.attr : undefined;
  return attr?.case === "ceString" ? attr.value : undefined;
}

/** Runs an operation of the server's side, in its span where it is in the sample. */
export function traced<T>(
  tracer: Tracer | undefined,
  operation: Operation,
  channel: string,
  event: CloudEvent,
  work: () => Promise<T>,
): Promise<T> {
  const span = tracer?.start(operation, {
    kind: "server",
    event: traceAttributes(event),
    attributes: { ...channelAttributes(operation, channel), "messaging.message.id": event.id },
  });
  return span === undefined ? work() : within(span, work);
}

/** Runs work that a span is about, and ends it. */
export async function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    span.fail(MessagingError.from(error).code);
    throw error;
  } finally {
    span.end();
  }
}

/** A message as it is handed over. */
interface Delivered {
  readonly body?: { readonly event: Uint8Array } | undefined;
}

/**
 * The spans of messages that are handed to sessions here: of those alone whose publishers have put them in a trace. A
 * message that begins no trace of its own has nothing by which its delivery could be found.
 *
 * @param sessions how many get them
 */
export function deliverySpans(
  tracer: Tracer,
  channel: string,
  messages: readonly Delivered[],
  sessions: number,
): readonly Span[] {
  return messages.flatMap(({ body }) => {
    const event = body && traceAttributesOf(body.event);
    if (event?.traceparent === undefined) return [];
    const attributes = {
      ...channelAttributes("deliver", channel),
      "messageloop.delivery.sessions": sessions,
    };
    return tracer.start("deliver", { kind: "internal", event, part: true, attributes }) ?? [];
  });
}
