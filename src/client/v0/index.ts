/** The SDK of v0.1.1. */

export type { Encoding } from "../../protocol/codec.ts";
export { MessagingError } from "../../protocol/errors.ts";
export {
  dial,
  MessageLoopClient,
  type PublishResult,
  type ReceivedMessage,
  type ServerSubscription,
} from "./client.ts";
export type { CloseInfo } from "./connection.ts";
export {
  type CloudEvent,
  type CloudEventInit,
  createCloudEvent,
  type ExtensionValue,
} from "./events.ts";
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
  withRequestTimeout,
  withToken,
  withVersion,
  withWebSocket,
} from "./options.ts";
export type { SurveyAnswer, SurveyHandler, SurveyResult, SurveyTerms } from "./surveys.ts";
