/** What callers of the engine give to it, and what they get from it. */
import type { Session } from "./session/session.ts";

export interface TransmitOptions {
  /** Goes beside the event; extended clients receive it. Default none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Bytes that the event may have, encoded; a longer one is TOO_LARGE. Default: any number. */
  readonly maxEventBytes?: number;
}

export interface SessionMessageOptions extends TransmitOptions {
  /** Id of the message. Default a random one. */
  readonly id?: string;
}

export interface PublishOptions extends TransmitOptions {
  /**
   * Who publishes, as far as repeated events go: an event with source and id that this principal has
   * published to the channel before is not published again. Default: every call is one of its own.
   */
  readonly principal?: string;
}

export interface RevokeOptions {
  /** The one token that is revoked. Default: all of the user that were issued up to now. */
  readonly tokenId?: string;
  /** When the tokens have expired by themselves, Unix milliseconds, at most 90 days ahead. Default: 90 days. */
  readonly until?: number;
}

/** When sessions have to be looked at again, by the clock's steady time in milliseconds. */
export interface NextExpiry {
  /** The earliest end of a connection that has not sent connect; undefined when there is none. */
  readonly connect: number | undefined;
  /** The earliest possible end of a silent session; undefined when there is none. */
  readonly idle: number | undefined;
  /** The first moment at which a token expires or its client has to be told so; undefined when there is none. */
  readonly token: number | undefined;
}

/** A session, as hosts and programs have it. What else there is of one is for its own node. */
export type ClientSession = Pick<
  Session,
  | "channels"
  | "clientId"
  | "close"
  | "connected"
  | "encoding"
  | "end"
  | "ended"
  | "expiry"
  | "id"
  | "marks"
  | "receive"
  | "receiveMessage"
  | "record"
  | "saveMarks"
  | "userId"
  | "write"
>;
