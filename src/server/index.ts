/**
 * `messageloop-server`: the self-hosted server inside a program of one's own. What a program needs that
 * implements a port stands in `messageloop-server/ports`.
 */
export type { AccessRule, AccessRules, Effect } from "../access/rules.ts";
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
export { fromWireEvent, toWireEvent } from "../client/v0/events.ts";
export type { Address } from "../config/address.ts";
export type { ClientSession as Session, Engine, PublishOptions } from "../engine/engine.ts";
export type { Action } from "../engine/ports/access.ts";
export {
  type AuthenticateRequest,
  type AuthorizeSubscribeRequest,
  BackendFailure,
  type Backends,
  type Caller,
  type Cancellation,
  type FailureReason,
  type RpcRequest,
} from "../engine/ports/backends.ts";
export type {
  Broker,
  HistoryFilter,
  HistoryPage,
  Position,
  PresenceSnapshot,
  PublishResult,
} from "../engine/ports/broker.ts";
export type { Identity } from "../engine/ports/identity.ts";
export type {
  LifecycleEvent,
  LifecycleKind,
  LifecycleStats,
} from "../engine/ports/lifecycle.ts";
export type { LogFields, Logger } from "../engine/ports/platform.ts";
export { type SettingProblem, type Settings, SettingsError } from "../engine/settings/settings.ts";
export type { EngineStats } from "../engine/stats.ts";
export type {
  SurveyAnswer,
  SurveyOptions,
  SurveyOutcome,
  UnreachedNode,
} from "../engine/survey/outcome.ts";
export type { Events, HookBackend, Problem } from "../hooks/courier.ts";
export type { HookTargets } from "../hooks/hooks.ts";
export {
  DISCONNECTS,
  type Disconnect,
  type DisconnectEntry,
  ERRORS,
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
export type { ErrorCode } from "../protocol/lean/error-kinds.ts";
export {
  AUTHENTICATE_METHOD,
  createRouter,
  type ProxyRouter,
  type RoutePattern,
} from "../proxy/router.ts";
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
