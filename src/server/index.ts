/**
 * `messageloop-server`: the self-hosted server inside a program of one's own. What a program needs that
 * implements a port stands in `messageloop-server/ports`.
 */
export { MemoryBroker, type MemoryBrokerOptions } from "../brokers/memory/broker.ts";
export { covers, overlaps } from "../channels/patterns.ts";
export type { Member } from "../channels/presence.ts";
export {
  type ChannelRule,
  type ChannelRules,
  DEFAULT_CHANNEL_RULES,
  type LogRules,
  RuleBook,
} from "../channels/rules.ts";
export { fromWireEvent, toWireEvent } from "../client/events.ts";
export type { ClientSession as Session, Engine, PublishOptions } from "../engine/engine.ts";
export type {
  AuthenticateRequest,
  AuthorizeSubscribeRequest,
  Backends,
  Caller,
  Cancellation,
  RpcRequest,
} from "../engine/ports/backends.ts";
export type {
  Broker,
  HistoryFilter,
  HistoryPage,
  Position,
  PresenceSnapshot,
  PublishResult,
} from "../engine/ports/broker.ts";
export type { LogFields, Logger } from "../engine/ports/platform.ts";
export { type SettingProblem, type Settings, SettingsError } from "../engine/settings/settings.ts";
export type { EngineStats } from "../engine/stats.ts";
export type { SurveyAnswer, SurveyOptions, SurveyOutcome } from "../engine/survey.ts";
export {
  DISCONNECTS,
  type Disconnect,
  type DisconnectEntry,
  ERRORS,
  type ErrorCode,
  type ErrorEntry,
} from "../protocol/codes.ts";
export { MessagingError, type MessagingErrorOptions } from "../protocol/errors.ts";
export {
  type CloudEvent as WireEvent,
  CloudEventSchema as WireEventSchema,
} from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
export {
  type Entry,
  type EntryBody,
  EntryBodySchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
export {
  AUTHENTICATE_METHOD,
  createRouter,
  type ProxyRouter,
  type RoutePattern,
} from "../proxy/router.ts";
export type { Address } from "./config/address.ts";
export {
  type ListenerConfig,
  type LogLevel,
  parseConfig,
  type ServerConfig,
  type TlsFiles,
} from "./config/config.ts";
export { ConfigError, type ConfigSource, loadConfig } from "./config/file.ts";
export { createLogger, type LogStream, type ServerLogger } from "./logger.ts";
export { createServer, type Server, type ServerOptions, type ServerPorts } from "./server.ts";
export { StartError } from "./start-error.ts";
