/** Names of the ports from before they were renamed: a program that uses them still compiles. */
import type { Backends } from "../engine/ports/backends.ts";
import type { PatternSubscribeResult, SubscribeResult } from "../engine/ports/broker.ts";

/** @deprecated Use `Backends`. */
export type Proxy = Backends;
/** @deprecated Use `SubscribeResult`. */
export type Registration = SubscribeResult;
/** @deprecated Use `PatternSubscribeResult`. */
export type PatternRegistration = PatternSubscribeResult;
