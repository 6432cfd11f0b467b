/**
 * `messageloop-server/ports`: for programs that implement a port, such as a broker or a transport of their
 * own, or that are a host themselves. These change more often than what users of a host need.
 */
export type { Member, MemberSession, PresenceChange, Snapshot } from "./channels/presence.ts";
export type { HostCapabilities } from "./engine/capabilities.ts";
export type { ClientSession as Session } from "./engine/engine.ts";
export { Engine, type EngineOptions, type NextExpiry } from "./engine/engine.ts";
export type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  GapReason,
  Held,
  HistoryFilter,
  HistoryPage,
  Interest,
  LogGap,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "./engine/ports/broker.ts";
export type { Cluster, RefusedMessages } from "./engine/ports/cluster.ts";
export type {
  ChannelPage,
  ChannelQuery,
  Directory,
  ListedChannel,
  UserSession,
} from "./engine/ports/directory.ts";
export type { Identity } from "./engine/ports/identity.ts";
export type {
  Lifecycle,
  LifecycleEvent,
  LifecycleKind,
  LifecycleStats,
} from "./engine/ports/lifecycle.ts";
export type { Clock, LogFields, Logger, Random, Timers } from "./engine/ports/platform.ts";
export type {
  Operation,
  Span,
  SpanAttributes,
  SpanKind,
  SpanTerms,
  TraceAttributes,
  Tracer,
} from "./engine/ports/tracing.ts";
export type { Peer, Transport } from "./engine/ports/transport.ts";
export { DEFAULT_SETTINGS, type Settings } from "./engine/settings/settings.ts";
export type { Encoding } from "./protocol/codec.ts";
export { DISCONNECTS, type Disconnect } from "./protocol/codes.ts";
export { MessagingError } from "./protocol/errors.ts";
export {
  type Entry,
  type EntryBody,
  EntryBodySchema,
  EntrySchema,
  type NodeAnswer,
  NodeAnswerSchema,
  type NodeCall,
  NodeCallSchema,
  type SeenRecord,
  SeenRecordSchema,
  type SessionMarks,
  SessionMarksSchema,
  type SessionRecord,
  SessionRecordSchema,
} from "./protocol/gen/messageloop/internal/v1/internal_pb.js";
export type { SizedFrame } from "./protocol/publication-frames.ts";
