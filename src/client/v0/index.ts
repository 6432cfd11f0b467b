/** `messageloop/v0`: the SDK of v0.1.1. */

export type { Encoding } from "../../protocol/codec.ts";
export { MessagingError } from "../../protocol/errors.ts";
export {
  dial,
  type IClient,
  MessageLoopClient,
  type PublishResult,
  type ReceivedMessage,
  type ServerSubscription,
} from "./client.ts";
export { type Codec, JSONCodec, jsonCodec, ProtobufCodec, protobufCodec } from "./codecs.ts";
export type { CloseInfo } from "./connection.ts";
export {
  type CloudEvent,
  type CloudEventInit,
  createCloudEvent,
  type ExtensionValue,
  fromWireEvent as fromProtoCloudEvent,
  fromWireEvent as protoToCloudEvent,
  toWireEvent as cloudEventToProto,
  toWireEvent as toProtoCloudEvent,
} from "./events.ts";
export {
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
} from "./messages.ts";
export {
  type ClientOption,
  type ClientOptions,
  type WebSocketConstructor,
  type WebSocketLike,
  withAutoSubscribe,
  withClientId,
  withClientType,
  withConnectTimeout,
  withEncoding,
  withEphemeral,
  withPingInterval,
  withPingTimeout,
  withRequestTimeout,
  withRPCTimeout,
  withToken,
  withVersion,
  withWebSocket,
} from "./options.ts";
export type { SurveyAnswer, SurveyHandler, SurveyResult, SurveyTerms } from "./surveys.ts";
export {
  type Transport,
  type TransportFactory,
  type TransportOptions,
  WebSocketTransport,
} from "./transport.ts";
