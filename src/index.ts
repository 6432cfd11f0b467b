/** The package's root: the client SDK. */
export type {
  History,
  HistoryOptions,
  HistoryPage,
  Presence,
  PublishOptions,
  RequestOptions,
  SurveyAnswer,
  SurveyHandler,
  SurveyOptions,
  SurveyQuestion,
  SurveyResult,
} from "./client/core/calls/calls.ts";
export { Client, type ClientEvents } from "./client/core/client.ts";
export type { CloudEvent } from "./client/core/cloud-event.ts";
export type { ConnectionState, StateChange, TokenRequest } from "./client/core/connection.ts";
export {
  type CloudEventInit,
  createCloudEvent,
  type ExtensionValue,
} from "./client/core/create-event.ts";
export type { DetailEvent, Listener, ListenerOptions, Signal } from "./client/core/emitter.ts";
export type { Gap, Member, ReceivedMessage } from "./client/core/message.ts";
export type { ClientOptions } from "./client/core/options.ts";
export type {
  Clock,
  PublishQueue,
  PublishResult,
  QueueContext,
  QueueFactory,
  QueueItem,
  QueueSession,
  Surroundings,
  Transport,
  TransportEnd,
  TransportEvents,
  TransportFactory,
} from "./client/core/ports.ts";
export type {
  MessageHandler,
  PresenceChange,
  SubscribeOptions,
  Subscription,
  SubscriptionEvents,
  SubscriptionState,
} from "./client/core/subscription.ts";
export type { DataOf, Schemas, StandardSchema } from "./client/core/types.ts";
export {
  type WebSocketConstructor,
  type WebSocketLike,
  webSocket,
} from "./client/core/websocket.ts";
export { createClient, dial } from "./client/dial.ts";
export { memoryQueue, type QueueBounds } from "./client/queue/queue.ts";
export type { Codec, Frame, Position } from "./client/wire/frames.ts";
export { MessagingError } from "./protocol/errors.ts";
