/** Names of the ports from before they were renamed: a program that uses them still compiles. */
import type { PatternSubscribeResult, SubscribeResult } from "../engine/ports/broker.ts";

/** @deprecated Use `SubscribeResult`. */
export type Registration = SubscribeResult;
/** @deprecated Use `PatternSubscribeResult`. */
export type PatternRegistration = PatternSubscribeResult;
