/** The package's root: the client SDK. */
export {
  dial,
  MessageLoopClient,
  type PublishResult,
  type ReceivedMessage,
  type ServerSubscription,
} from "./client/client.ts";
export type { CloseInfo } from "./client/connection.ts";
export {
  type CloudEvent,
  type CloudEventInit,
  createCloudEvent,
  type ExtensionValue,
} from "./client/events.ts";
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
} from "./client/options.ts";
export type { SurveyAnswer, SurveyHandler, SurveyResult, SurveyTerms } from "./client/surveys.ts";
export type { Encoding } from "./protocol/codec.ts";
export { MessagingError } from "./protocol/errors.ts";
