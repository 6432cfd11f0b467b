/** A client's publish: what its event has to be, how often it may come, and its acknowledgement. */
import { checkChannel } from "../../../channels/names.ts";
import { canonicalEvent } from "../../../protocol/cloudevents.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type { CloudEvent } from "../../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { EntryBody } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { InboundMessage } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { eventBytes } from "../../../protocol/plain-protobuf/event.ts";
import type { PublishCommand } from "../../ports/broker.ts";
import { uint64Of } from "../../subscription/positions.ts";
import { checkMetadata } from "../application-values.ts";
import { isRecognised, publishKey } from "../publish-key.ts";
import { mustBeAllowed } from "./access.ts";
import { busy, type RequestContext, type Work } from "./context.ts";

/** @param size length of the frame, in bytes */
export function publish(
  context: RequestContext,
  message: InboundMessage,
  received: CloudEvent,
  size: number,
): Work {
  const { node, client, channels, replies } = context;
  const channel = message.channel || received.source;
  if (channel === "") {
    throw new MessagingError("INTERNAL_ERROR", "missing channel in publish message");
  }
  checkChannel(channel);
  mustBeAllowed(context, "publish", channel);
  const command = commandOf(context, channel, message, received);
  node.hub.uses(channel, channels);
  // The event may wait, and it waits as bytes: what was decoded would be its payload a second time.
  received.data = { case: undefined };
  const run = async (): Promise<void> => {
    const { broker, publishGate, counters } = node;
    const { extended } = client;
    const { position, duplicate } = await (extended
      ? broker.publish(channel, command)
      : publishGate.publish(client, channel, command, size));
    counters.published += 1;
    if (duplicate) counters.duplicates += 1;
    replies.reply(message, {
      case: "publishAck",
      value: {
        $typeName: "messageloop.v1.PublishAck",
        offset: uint64Of(position.offset),
        epoch: extended ? position.epoch : "",
        duplicate: extended && duplicate,
      },
    });
  };
  return { channels: [channel], run };
}

/** What a publish is to the broker, if it may be one. */
function commandOf(
  { node, client, publishes }: RequestContext,
  channel: string,
  { metadata, again }: InboundMessage,
  received: CloudEvent,
): PublishCommand {
  const event = canonicalEvent(received);
  checkMetadata(metadata);
  // An extended client that publishes an event again means the same one.
  const user = client.extended ? ({ side: "user", name: client.userId } as const) : undefined;
  if (again && !isRecognised(node.rules, channel, event, user)) {
    throw new MessagingError("OUTCOME_UNKNOWN", "outcome unknown");
  }
  const wait = publishes?.take(node.steadyNow()) ?? 0;
  if (wait > 0) throw busy("too many publishes", wait);
  const { clientId, userId, sessionId } = client;
  const body: EntryBody = {
    $typeName: "messageloop.internal.v1.EntryBody",
    event: eventBytes(event),
    publisher: { $typeName: "messageloop.v1.Publisher", clientId, userId, sessionId },
    metadata,
  };
  return { key: publishKey(node, channel, event, user), body };
}
