/** `messageloop-server/worker`: what a Worker of the application's own is made of. */
export { covers, overlaps } from "../channels/patterns.ts";
export { fromWireEvent, toWireEvent } from "../client/v0/events.ts";
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
export type { Identity } from "../engine/ports/identity.ts";
export type { LifecycleEvent, LifecycleKind } from "../engine/ports/lifecycle.ts";
export type { Events, HookBackend, Problem } from "../hooks/courier.ts";
export type { HookTargets } from "../hooks/hooks.ts";
export { MessagingError } from "../protocol/errors.ts";
export type { CloudEvent } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
export { CloudEventSchema } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
export { createRouter, type RoutePattern } from "../proxy/router.ts";
export { ChannelDurableObject } from "./channel/object.ts";
export { StatsDurableObject } from "./directory/stats-object.ts";
export { UserDurableObject } from "./directory/user-object.ts";
export { GatewayDurableObject } from "./gateway/object.ts";
export { PatternDurableObject } from "./pattern-index/object.ts";
export { createWorker, type WorkerOptions } from "./worker.ts";
