/** What `messageloop/server` was before the server was a package of its own, with the names of that time. */
import type { Backends } from "../engine/ports/backends.ts";
import type { PatternSubscribeResult, SubscribeResult } from "../engine/ports/broker.ts";

export * from "../ports.ts";
export * from "./index.ts";

/** @deprecated Use `Backends`. */
export type Proxy = Backends;
/** @deprecated Use `SubscribeResult`. */
export type Registration = SubscribeResult;
/** @deprecated Use `PatternSubscribeResult`. */
export type PatternRegistration = PatternSubscribeResult;
