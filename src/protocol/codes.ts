/**
 * The one table of disconnect and error codes. Server, SDK and documentation read it; nothing else
 * invents a code.
 */
import { ERROR_KINDS, type ErrorCode, type ErrorKind } from "./lean/error-kinds.ts";

/** What ends a connection: the WebSocket close code and its reason. */
export interface Disconnect {
  readonly code: number;
  /** At most 123 bytes of UTF-8. */
  readonly reason: string;
}

/** A disconnect as documented: what a client should do when it meets the code. */
export interface DisconnectEntry extends Disconnect {
  /** Whether a client should come back by itself. */
  readonly reconnect: boolean;
  /** One sentence for people. */
  readonly advice: string;
}

/**
 * Why connections end: the table of close codes in SPEC.md.
 *
 * @example
 * await engine.disconnect(sessionId, DISCONNECTS.forceDisconnect.code);
 */
export const DISCONNECTS = {
  connectionClosed: {
    code: 3000,
    reason: "connection closed",
    reconnect: true,
    advice: "Reconnect and recover.",
  },
  invalidToken: {
    code: 3500,
    reason: "invalid token",
    reconnect: false,
    advice: "Get a new token, then connect anew.",
  },
  badRequest: {
    code: 3501,
    reason: "bad request",
    reconnect: false,
    advice: "A frame broke the protocol, such as a second connect: mend the client.",
  },
  stale: {
    code: 3502,
    reason: "stale",
    reconnect: true,
    advice: "The first frame was not connect, or came too late: connect first.",
  },
  forceDisconnect: {
    code: 3503,
    reason: "force disconnect",
    reconnect: false,
    advice: "The application ended this session: stay away.",
  },
  connectionLimit: {
    code: 3504,
    reason: "connection limit",
    reconnect: true,
    advice: "The server is full: come back later.",
  },
  channelLimit: {
    code: 3505,
    reason: "channel limit",
    reconnect: false,
    advice: "Subscribe to fewer channels.",
  },
  inappropriateProtocol: {
    code: 3506,
    reason: "inappropriate protocol",
    reconnect: false,
    advice: "This encoding cannot carry the data: use protobuf.",
  },
  permissionDenied: {
    code: 3507,
    reason: "permission denied",
    reconnect: false,
    advice: "Ask for what this user may do.",
  },
  notAvailable: {
    code: 3508,
    reason: "not available",
    reconnect: false,
    advice: "This deployment has switched the message kind off.",
  },
  tooManyErrors: {
    code: 3509,
    reason: "too many errors",
    reconnect: false,
    advice: "Mend the client: its requests keep failing.",
  },
  slowConsumer: {
    code: 3510,
    reason: "slow consumer",
    reconnect: true,
    advice: "Read faster or subscribe to less, then reconnect and recover.",
  },
  idleTimeout: {
    code: 3511,
    reason: "idle timeout",
    reconnect: true,
    advice: "Send the text frame ping more often; reconnect.",
  },
  goingAway: {
    code: 3512,
    reason: "server going away",
    reconnect: true,
    advice: "Reconnect after the delay the server named, with jitter.",
  },
  tokenExpired: {
    code: 3513,
    reason: "token expired",
    reconnect: true,
    advice: "Reconnect with a new token.",
  },
  messageTooBig: {
    code: 1009,
    reason: "message too big",
    reconnect: false,
    advice: "Keep frames within max_message_bytes.",
  },
  internal: {
    code: 1011,
    reason: "internal error",
    reconnect: true,
    advice: "Reconnect and recover.",
  },
} as const satisfies Record<string, DisconnectEntry>;

/** How an error envelope's code is documented: its family and when a retry makes sense. */
export interface ErrorEntry {
  /** `error.type` on the wire. */
  readonly type: string;
  /** Whether the same request may succeed later. */
  readonly retry: boolean;
  /** Whether it counts towards 3509: only what the client could have avoided does. */
  readonly counts: boolean;
  readonly meaning: string;
}

/**
 * Why requests fail: the table of error codes in SPEC.md.
 *
 * @example
 * const worthAnotherTry = ERRORS.UNAVAILABLE.retry; // true
 */
export const ERRORS = {
  BAD_REQUEST: entry("BAD_REQUEST", "The frame or a value in it is not valid."),
  AUTH_ERROR: entry("AUTH_ERROR", "Authentication failed."),
  ACL_ERROR: entry("ACL_ERROR", "The user may not do this."),
  RPC_TIMEOUT: entry("RPC_TIMEOUT", "The backend did not answer in time."),
  PROXY_ERROR: entry("PROXY_ERROR", "The backend failed."),
  RATE_LIMITED: entry("RATE_LIMITED", "Too much at once: wait retry_after_ms."),
  UNAVAILABLE: entry("UNAVAILABLE", "The outcome is unknown: retry with the same event id."),
  OUTCOME_UNKNOWN: entry(
    "OUTCOME_UNKNOWN",
    "The event may have been published or not, and to publish it again could do so twice.",
  ),
  INTERNAL_ERROR: entry("INTERNAL_ERROR", "The request could not be done."),
  NOT_FOUND: entry("NOT_FOUND", "There is nothing of this name."),
  GONE: entry("GONE", "What is asked for was there, and is not kept any more."),
  METHOD_NOT_ALLOWED: entry(
    "METHOD_NOT_ALLOWED",
    "A request over HTTP has a method that its path does not have.",
  ),
  REQUEST_TIMEOUT: entry("REQUEST_TIMEOUT", "A request over HTTP was not whole in time."),
  TOO_LARGE: entry(
    "TOO_LARGE",
    "A request over HTTP, an answer to a survey, or the number of sessions that a survey asks is more than it may be.",
  ),
  UNSUPPORTED_TYPE: entry(
    "UNSUPPORTED_TYPE",
    "A request over HTTP has a content type that is not read there.",
  ),
  UNIMPLEMENTED: entry("UNIMPLEMENTED", "This deployment does not have what was asked for."),
  DISCONNECT_ERROR: entry("DISCONNECT_ERROR", "A stream's last message before it ends."),
} as const satisfies Record<ErrorCode, ErrorEntry>;

const BY_CODE: ReadonlyMap<number, DisconnectEntry> = new Map(
  Object.values(DISCONNECTS).map((entry) => [entry.code, entry]),
);

/** The documented entry of a close code, or undefined for a code that is not ours. */
export function disconnectFor(code: number): DisconnectEntry | undefined {
  return BY_CODE.get(code);
}

function entry(code: ErrorCode, meaning: string): ErrorEntry {
  const [type, retry = false, counts = false]: ErrorKind = ERROR_KINDS[code];
  return { type, retry, counts, meaning };
}
