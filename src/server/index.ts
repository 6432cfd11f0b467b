/**
 * The package's subpath `server`: the self-hosted server inside a program of one's own, and the
 * ports that such a program may implement.
 */
export { MemoryBroker, type MemoryBrokerOptions } from "../brokers/memory/broker.ts";
export { covers, overlaps } from "../channels/patterns.ts";
export type { Member, MemberSession, PresenceChange, Snapshot } from "../channels/presence.ts";
export {
  type ChannelRule,
  type ChannelRules,
  DEFAULT_CHANNEL_RULES,
  type LogRules,
  RuleBook,
} from "../channels/rules.ts";
export { fromWireEvent, toWireEvent } from "../client/events.ts";
export type { HostCapabilities } from "../engine/capabilities.ts";
export {
  Engine,
  type EngineOptions,
  type NextExpiry,
  type PublishOptions,
} from "../engine/engine.ts";
export type {
  AuthenticateRequest,
  AuthorizeSubscribeRequest,
  Backends,
  Caller,
  Cancellation,
  RpcRequest,
} from "../engine/ports/backends.ts";
export type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  GapReason,
  HistoryFilter,
  HistoryPage,
  LogGap,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "../engine/ports/broker.ts";
export type { Cluster, RefusedMessages } from "../engine/ports/cluster.ts";
export type { Clock, LogFields, Logger, Random, Timers } from "../engine/ports/platform.ts";
export type { Transport } from "../engine/ports/transport.ts";
export type { Peer, Session } from "../engine/session/session.ts";
export {
  DEFAULT_SETTINGS,
  type SettingProblem,
  type Settings,
  SettingsError,
} from "../engine/settings/settings.ts";
export type { EngineStats } from "../engine/stats.ts";
export type { SurveyAnswer, SurveyOptions, SurveyOutcome } from "../engine/survey.ts";
export type { Encoding } from "../protocol/codec.ts";
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
  EntrySchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
export type { SizedFrame } from "../protocol/publication-frames.ts";
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
export type { PatternRegistration, Proxy, Registration } from "./deprecated.ts";
export { createLogger, type LogStream, type ServerLogger } from "./logger.ts";
export { createServer, type Server, type ServerOptions, type ServerPorts } from "./server.ts";
export { StartError } from "./start-error.ts";
