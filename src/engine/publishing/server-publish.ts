/** What the server's side publishes. The event passes the same door as a client's. */
import { create } from "@bufbuild/protobuf";
import { checkChannel } from "../../channels/names.ts";
import { canonicalEvent } from "../../protocol/cloudevents.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { TransientSchema } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { Node } from "../node.ts";
import type { PublishResult } from "../ports/broker.ts";
import {
  applicationEvent,
  bodyOf,
  type PublishOptions,
  type TransmitOptions,
} from "../session/application-values.ts";
import { publishKey } from "../session/publish-key.ts";
import { traced } from "../spans.ts";

/** The part of a node that is used. */
export type PublishingNode = Pick<
  Node,
  "broker" | "clock" | "counters" | "random" | "rules" | "tracer"
>;

/** Into the log of a channel. @throws MessagingError as `Engine.publish` does */
export async function publish(
  node: PublishingNode,
  channel: string,
  event: CloudEvent,
  { principal, ...options }: PublishOptions,
): Promise<PublishResult> {
  checkChannel(channel);
  const { broker, counters, tracer } = node;
  const canonical = canonicalEvent(applicationEvent(event));
  const body = bodyOf(canonical, options);
  const server =
    principal === undefined ? undefined : ({ side: "server", name: principal } as const);
  const key = publishKey(node, channel, canonical, server);
  const result = await traced(tracer, "publish", channel, canonical, () =>
    broker.publish(channel, { key, body }),
  );
  counters.published += 1;
  if (result.duplicate) counters.duplicates += 1;
  return result;
}

/** Outside of the log. @throws MessagingError as `Engine.transmit` does */
export async function transmit(
  { broker, clock, counters, random, tracer }: PublishingNode,
  channel: string,
  event: CloudEvent,
  options: TransmitOptions,
): Promise<void> {
  checkChannel(channel);
  const canonical = canonicalEvent(applicationEvent(event));
  const body = bodyOf(canonical, options);
  if (broker.transmit === undefined) {
    throw new MessagingError("UNIMPLEMENTED", "this broker keeps every message in a log");
  }
  const message = create(TransientSchema, { id: random.uuid(), time: BigInt(clock.now()), body });
  const handing = () => broker.transmit?.(channel, message) ?? Promise.resolve();
  await traced(tracer, "publish", channel, canonical, handing);
  counters.published += 1;
}
