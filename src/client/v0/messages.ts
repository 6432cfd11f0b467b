/**
 * The frames of v0.1.1, made and read as messages of the generated schema. Whatever makes one throws a MessagingError,
 * UNIMPLEMENTED, where `@bufbuild/protobuf` is not installed.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { errorFrom, type MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent as EventMessage } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Error as ErrorMessage } from "../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import type {
  InboundMessage,
  InboundMessageSchema,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { type CloudEvent, type EventLike, eventOf, plainEvent } from "./cloud-event.ts";
import { generated } from "./peers.ts";

type Init = Exclude<MessageInitShape<typeof InboundMessageSchema>, InboundMessage>;
type Envelope = NonNullable<Init["envelope"]>;

/**
 * An event as a message.
 *
 * @throws TypeError for what CloudEvents cannot carry
 *
 * @example const message = cloudEventToProto(createCloudEvent({ source: "/me", type: "note", data: "hello" }));
 */
export function cloudEventToProto(event: EventLike): EventMessage {
  return generated().toWireEvent(plainEvent(event));
}

/**
 * The event of a message. Data that claims to be JSON but is not stays text.
 *
 * @example const { data } = protoToCloudEvent(cloudEventToProto(event));
 */
export function protoToCloudEvent(message: EventMessage): CloudEvent {
  return eventOf(generated().fromWireEvent(message));
}

/** Ids of one millisecond differ by this counter. */
let counter = 0;
const MOST_IDS = 10_000;

/**
 * An id for a frame: Unix nanoseconds, as far as the clock has them, and a counter.
 *
 * @example generateMessageId(); // "1767225600000000000-1"
 */
export function generateMessageId(): string {
  counter = (counter + 1) % MOST_IDS;
  return `${BigInt(Date.now()) * 1_000_000n}-${counter}`;
}

/** What is subscribed to in a connect. */
export interface SubscriptionInit {
  readonly channel: string;
  readonly ephemeral?: boolean;
  readonly token?: string;
}

/**
 * A `connect`, with what it subscribes to.
 *
 * @example await transport.send(createConnectMessage("ada-laptop", "web", token, "1.0.0", [{ channel: "news" }]));
 */
export function createConnectMessage(
  clientId: string,
  clientType: string,
  token: string,
  version: string,
  subscriptions: readonly SubscriptionInit[] = [],
): InboundMessage {
  const value = { clientId, clientType, token, version, subscriptions: [...subscriptions] };
  return message({ case: "connect", value });
}

/**
 * A `subscribe` to channels and patterns.
 *
 * @example await transport.send(createSubscribeMessage(["chat.lobby", "news.*"]));
 */
export function createSubscribeMessage(
  channels: readonly string[],
  ephemeral = false,
): InboundMessage {
  const subscriptions = channels.map((channel) => ({ channel, ephemeral }));
  return message({ case: "subscribe", value: { subscriptions } });
}

/**
 * An `unsubscribe`.
 *
 * @example await transport.send(createUnsubscribeMessage(["chat.lobby"]));
 */
export function createUnsubscribeMessage(channels: readonly string[]): InboundMessage {
  const subscriptions = channels.map((channel) => ({ channel }));
  return message({ case: "unsubscribe", value: { subscriptions } });
}

/**
 * @throws TypeError for what CloudEvents cannot carry
 *
 * @example await transport.send(createPublishMessage("chat.lobby", event));
 */
export function createPublishMessage(channel: string, event: EventLike): InboundMessage {
  return message({ case: "publish", value: cloudEventToProto(event) }, { channel });
}

/**
 * @throws TypeError for what CloudEvents cannot carry
 *
 * @example await transport.send(createRPCRequestMessage("shop.7", "price", event));
 */
export function createRPCRequestMessage(
  channel: string,
  method: string,
  event: EventLike,
): InboundMessage {
  return message({ case: "rpcRequest", value: cloudEventToProto(event) }, { channel, method });
}

/**
 * A `ping`, which the server answers by `pong`.
 *
 * @example await transport.send(createPingMessage());
 */
export function createPingMessage(): InboundMessage {
  return message({ case: "ping", value: {} });
}

/**
 * Tokens are not sent, as in v0.1.1.
 *
 * @example await transport.send(createSubRefreshMessage([{ channel: "news" }]));
 */
export function createSubRefreshMessage(
  subscriptions: readonly { readonly channel: string; readonly token?: string }[],
): InboundMessage {
  const channels = subscriptions.map(({ channel }) => channel);
  return message({ case: "subRefresh", value: { channels } });
}

/** Kinds of frames from the server that v0.1.1 knows. */
const KINDS = [
  "connected",
  "subscribeAck",
  "unsubscribeAck",
  "publishAck",
  "publication",
  "rpcReply",
  "pong",
  "subRefreshAck",
] as const;

/** A frame from the server. Of an error, or of a kind that v0.1.1 does not know, the data is an error. */
export interface ParsedMessage {
  readonly type: (typeof KINDS)[number] | "error";
  readonly data: unknown;
  readonly id: string;
}

/**
 * Which kind of frame a message of the server is, and its content.
 *
 * @example
 * for await (const frame of transport.recv()) {
 *   const { type, data } = parseOutboundMessage(frame);
 *   if (type === "error") console.error(data);
 * }
 */
export function parseOutboundMessage({ id, envelope }: OutboundMessage): ParsedMessage {
  const type = KINDS.find((kind) => kind === envelope.case);
  if (type !== undefined) return { type, data: envelope.value, id };
  const data =
    envelope.case === "error" ? serverError(envelope.value) : new Error("Unknown message type");
  return { type: "error", data, id };
}

function serverError(error: ErrorMessage): MessagingError {
  return errorFrom(error);
}

function message(
  envelope: Envelope,
  rest: { readonly channel?: string; readonly method?: string } = {},
): InboundMessage {
  const { create, InboundMessageSchema } = generated();
  return create(InboundMessageSchema, { id: generateMessageId(), ...rest, envelope });
}
