/**
 * `messageloop/v0`: the SDK of v0.1.1. It needs two packages beside this one: `cloudevents`, and for what makes or takes
 * messages of protobuf by hand `@bufbuild/protobuf`.
 */

export type { Encoding } from "../../protocol/codec.ts";
export { MessagingError } from "../../protocol/errors.ts";
export type { TokenRequest } from "../core/connection.ts";
export type { CloudEventInit, ExtensionValue } from "../core/create-event.ts";
export type { WebSocketConstructor, WebSocketLike } from "../core/websocket.ts";
export { dial, MessageLoopClient } from "./client.ts";
export { type CloudEvent, createCloudEvent, type EventLike } from "./cloud-event.ts";
export { type Codec, JSONCodec, jsonCodec, ProtobufCodec, protobufCodec } from "./codecs.ts";
export type { IClient } from "./handlers.ts";
export type { CloseInfo } from "./line.ts";
export {
  cloudEventToProto,
  cloudEventToProto as toProtoCloudEvent,
  createConnectMessage,
  createPingMessage,
  createPublishMessage,
  createRPCRequestMessage,
  createSubRefreshMessage,
  createSubscribeMessage,
  createUnsubscribeMessage,
  generateMessageId,
  type ParsedMessage,
  parseOutboundMessage,
  protoToCloudEvent,
  protoToCloudEvent as fromProtoCloudEvent,
} from "./messages.ts";
export {
  type ClientOption,
  type ClientOptions,
  type GetToken,
  withAutoSubscribe,
  withClientId,
  withClientType,
  withConnectTimeout,
  withEncoding,
  withEphemeral,
  withGetToken,
  withPingInterval,
  withPingTimeout,
  withReconnect,
  withRequestTimeout,
  withRPCTimeout,
  withToken,
  withVersion,
  withWebSocket,
} from "./options.ts";
export type { Gap, PublishResult, ReceivedMessage, ServerSubscription } from "./received.ts";
export type { SurveyAnswer, SurveyHandler, SurveyResult, SurveyTerms } from "./surveys.ts";
export {
  type Transport,
  type TransportFactory,
  type TransportOptions,
  WebSocketTransport,
} from "./transport.ts";
