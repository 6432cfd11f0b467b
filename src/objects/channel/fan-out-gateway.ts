/**
 * A gateway as the fan-out of a channel knows it.
 *
 * | state | what says so | what the channel does for it |
 * | --- | --- | --- |
 * | at head | `confirmed` is the head, no `call` | nothing |
 * | called | `call` is under way | owes it what comes meanwhile |
 * | answering | `answers` is above 0 | leaves what it lacks to the answer of its publish |
 * | owed | `noted`: its row says what it has confirmed | has an alarm, and calls it again |
 */

import type { PatternInterest } from "../calls/pattern-interest.ts";
import type { GatewayRow } from "../ports/channel-store.ts";
import { PresenceQueue, type WaitingPresence } from "./presence-queue.ts";
import { TransientQueue } from "./transient-queue.ts";

export interface Gateway {
  readonly name: string;
  /** Its own registration; empty where it hears the channel through a pattern alone. */
  registration: string;
  /** Whether it gets joins and leaves, as it has registered. */
  follows: boolean;
  /** By which of its patterns it hears the channel beside that; undefined for none that is known. */
  pattern: ByPattern | undefined;
  /** Offset up to which the gateway is known to have everything. */
  confirmed: number;
  /** Whether its row holds a `confirmed`. */
  noted: boolean;
  /** Whether it has a row. */
  stored: boolean;
  readonly presence: PresenceQueue;
  readonly transients: TransientQueue;
  /** It has to learn of this life of the log, for something of the last one may not have arrived. */
  announce: boolean;
  call: Call | undefined;
  /** Answers to its publishes that will carry what it lacks: until then no call is made for that. */
  answers: number;
  /** What the last answer carried. It may have been lost, or may arrive after a call that was made later. */
  answered: Answered | undefined;
}

/** What an answer carried: after an offset, up to another, under a registration of the gateway. */
export interface Answered {
  readonly registration: string;
  readonly after: number;
  readonly until: number;
}

/** An answer to publishes of a gateway that will carry what the gateway lacks. */
export interface Answering {
  readonly gateway: Gateway;
  /** Under which the gateway has published. */
  readonly registration: string;
  over: boolean;
}

export interface ByPattern {
  /** Of the newest of its registrations that stand for the channel. */
  version: number;
  /** Whether it gets joins and leaves. */
  follows: boolean;
  /** The question to the index that was the last one when it was pushed; undefined for an answer. */
  pushed: number | undefined;
}

export interface Call {
  /** Last offset of the batch. */
  readonly until: number;
  readonly presence: WaitingPresence;
  readonly announce: boolean;
  /** What the gateway had registered when the call was made: that alone can be said to be over. */
  readonly registration: string;
  readonly version: number | undefined;
  /** Settles when the answer has been dealt with. */
  done: Promise<void>;
}

/** What a log says to a gateway that is new to it. */
interface Log {
  head(): number;
  readonly transient: boolean;
}

/** A gateway as its row says it is, where one that is not owed anything has everything. */
export function foundGateway(row: GatewayRow, { head, transient }: Log): Gateway {
  const { name, registration, confirmed, presence: follows, pattern } = row;
  const owed = confirmed !== undefined;
  return {
    name,
    registration,
    follows,
    pattern: pattern && { ...pattern, pushed: undefined },
    // What was confirmed of a log that is no more says nothing about this one.
    confirmed: Math.min(confirmed ?? head(), head()),
    noted: owed,
    stored: true,
    presence: new PresenceQueue(owed && (follows || pattern?.follows === true)),
    transients: new TransientQueue(),
    announce: owed && transient,
    call: undefined,
    answers: 0,
    answered: undefined,
  };
}

/** A gateway that comes now, and begins at the head. */
export function newGateway(name: string, log: Log): Gateway {
  const row = { name, registration: "", confirmed: undefined, presence: false, pattern: undefined };
  return { ...foundGateway(row, log), stored: false };
}

/** Offset up to which a gateway has everything, or gets it with an answer that has left. */
export function reached({ answered, confirmed, registration }: Gateway): number {
  if (answered?.registration !== registration) return confirmed;
  return Math.max(confirmed, answered.until);
}

/** Whether a gateway gets joins and leaves. */
export function followsPresence({ follows, pattern }: Gateway): boolean {
  return follows || pattern?.follows === true;
}

/** Whether a gateway was pushed after a question to the index was sent, so that the answer may lack it. */
export function isPushedSince({ pattern }: Gateway, round: number): boolean {
  return pattern?.pushed !== undefined && pattern.pushed >= round;
}

/**
 * A gateway hears the channel through a pattern.
 *
 * @param pushed the last question to the index when it was pushed: then it is one pattern of perhaps
 * several, and may be known or come late. Undefined for what the index has answered, which is all there is.
 */
export function addInterest(
  gateway: Gateway,
  { version, presence }: PatternInterest,
  pushed: number | undefined,
): void {
  const { pattern } = gateway;
  if (pattern === undefined || pushed === undefined) {
    gateway.pattern = { version, follows: presence, pushed };
    return;
  }
  pattern.version = Math.max(pattern.version, version);
  pattern.follows ||= presence;
  pattern.pushed = pushed;
}
