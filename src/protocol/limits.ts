/** Every bound of the protocol, its default and its unit. Hosts may override what a setting names. */

/** How long a connection may take to send connect, in milliseconds; then it closes with 3502. */
export const CONNECT_DEADLINE_MS = 10_000;
/** How long a client may be silent, in milliseconds; then it closes with 3511. */
export const IDLE_TIMEOUT_MS = 300_000;
/** Channels one session may be subscribed to; one more closes with 3505. */
export const MAX_SUBSCRIPTIONS = 1_000;
/** Connections that one user may have on all nodes; one more closes with 3504. 0 means no limit. */
export const MAX_USER_CONNECTIONS = 0;
/** Channels and patterns that one node may have; what begins one more is RATE_LIMITED. */
export const MAX_CHANNELS = 200_000;
/**
 * Channels that one session may begin in a minute, by a subscription or a publish to a name that its node
 * does not know; one more is RATE_LIMITED. 0 means no limit.
 */
export const NEW_CHANNELS_PER_MINUTE = 6_000;
/** Bytes of messages that a broker in memory keeps; of more, the oldest go. */
export const MAX_RETAINED_BYTES = 512 * 1024 * 1024;
/** Requests of one session that may fail within ERROR_WINDOW_MS; one more closes with 3509. */
export const MAX_ERRORS = 100;
/** The window that failed requests are counted in, in milliseconds. */
export const ERROR_WINDOW_MS = 60_000;
/** Publishes of one session per second; more are RATE_LIMITED. 0 means no limit. */
export const PUBLISHES_PER_SECOND = 0;
/** Bytes of a session's requests that are still being worked on; one more is RATE_LIMITED. */
export const MAX_OPEN_REQUEST_BYTES = 4 * 1024 * 1024;
/**
 * Requests of one session that are still being worked on, however short; one more is RATE_LIMITED. Each takes
 * some kilobytes.
 */
export const MAX_OPEN_REQUESTS = 4_096;
/**
 * Bytes of one v1 client's requests that may wait where the host cannot stop reading what it sends; beyond it
 * 3510. Each frame counts as WAITING_FRAME_BYTES more than it is long.
 */
export const MAX_WAITING_SESSION_BYTES = 16 * 1024 * 1024;
/** The same of all v1 clients of one node together; the client that goes beyond it is closed. */
export const MAX_WAITING_NODE_BYTES = 48 * 1024 * 1024;
/** What a frame that waits takes in memory beside its bytes. */
export const WAITING_FRAME_BYTES = 512;
/**
 * What a request of a v1 client that is being worked on takes in memory beside its bytes: 2.9 KB of heap were
 * measured for the smallest.
 */
export const OPEN_REQUEST_BYTES = 4_096;
/**
 * What one v1 client may have so where the host cannot stop reading what it sends; the rest of its frames waits
 * as they came.
 */
export const MAX_OPEN_SESSION_BYTES = 2 * 1024 * 1024;
/** The same of all v1 clients of one node together, each of which may have one request in any case. */
export const MAX_OPEN_NODE_BYTES = 24 * 1024 * 1024;
/** Bytes that a client with credit may leave unacknowledged; beyond it 3510. */
export const CREDIT_BYTES = 8 * 1024 * 1024;
/**
 * Bytes sent to a client without credit between two signs of life, where a host does not see what a
 * client has taken in; beyond it 3510.
 */
export const MAX_UNHEARD_BYTES = 32 * 1024 * 1024;
/** Sockets that one gateway holds. */
export const MAX_SOCKETS = 2_000;
/** Upgrades that one gateway takes per second. */
export const MAX_UPGRADES_PER_SECOND = 500;
/** Largest inbound frame in bytes; a larger one closes with 1009. */
export const MAX_MESSAGE_BYTES = 64 * 1024;
/** Longest client id and client type in bytes of UTF-8; a longer one is refused with 3501. */
export const MAX_CLIENT_NAME_BYTES = 255;
/** Longest channel name in bytes of UTF-8. */
export const MAX_CHANNEL_BYTES = 255;
/** Frames that may wait after a connect that is still being decided. */
export const MAX_WAITING_FRAMES = 64;
/** Bytes that may wait after a connect that is still being decided. */
export const MAX_WAITING_FRAME_BYTES = 256 * 1024;
/** Messages of a stream opened by Open that are held back until those before them come; more close with 3501. */
export const MAX_HELD_MESSAGES = 64;
/** Bytes of messages that are held back so; more close with 3501. */
export const MAX_HELD_BYTES = 256 * 1024;
/** How long a message is held back so, in milliseconds; then 3501. */
export const MAX_HELD_MS = 5_000;
/** Messages of one Send. */
export const MAX_SEND_MESSAGES = 64;
/** The largest Send in bytes, where one message may have so many: as much as may be held back, and what is around it. */
export function largestSend(maxMessageBytes: number): number {
  return Math.max(MAX_HELD_BYTES, maxMessageBytes) + 8 * 1024;
}
/** Bytes that may wait for one connection that does not read; more close with 3510. */
export const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** How often a stream that has nothing else to say says that it is there, in milliseconds. */
export const STREAM_HEARTBEAT_MS = 15_000;
/** How long a stream lives before its client is asked to come back, in milliseconds. */
export const STREAM_LIFETIME_MS = 20 * 60_000;
/** Messages share one publication frame up to this many bytes. A single message may be larger. */
export const MAX_JOINED_BYTES = 64 * 1024;
/** Messages share one publication frame up to this many messages. */
export const MAX_JOINED_MESSAGES = 100;
/** How deep JSON may nest that stands in a compact frame as it is, and not as a text. */
export const MAX_PLAIN_JSON_DEPTH = 20;
/** Longest close reason in bytes of UTF-8, by RFC 6455. */
export const MAX_REASON_BYTES = 123;
/** How often a client should send the text frame `ping`, in milliseconds. */
export const PING_INTERVAL_MS = 25_000;
/** RPCs of one session that may be waiting for their answer; one more is RATE_LIMITED. */
export const MAX_IN_FLIGHT_RPCS = 32;
/** How long a backend may take to answer an RPC, in milliseconds; then RPC_TIMEOUT. */
export const RPC_TIMEOUT_MS = 30_000;
/** How long a survey waits for answers where the caller does not say, in milliseconds. */
export const SURVEY_TIMEOUT_MS = 5_000;
/** How long a survey may wait at most, even if its caller asks for more, in milliseconds. */
export const MAX_SURVEY_TIMEOUT_MS = 60_000;
/**
 * How long it may take to count the subscribers of other nodes, in milliseconds, and not longer than half of what
 * the survey may wait where that is not very short; a node that has not said it by then is not asked.
 */
export const SURVEY_COUNT_MS = 2_500;
/** Subscribers that a survey of a client may ask; with more none is asked, and it is TOO_LARGE. */
export const SURVEY_AUDIENCE = 1_000;
/** The same of a survey from the server's side, and the most that a setting may allow clients. */
export const MAX_SURVEY_AUDIENCE = 10_000;
/** Bytes of one answer to a survey, as protobuf; a longer one is TOO_LARGE. */
export const SURVEY_ANSWER_BYTES = 16 * 1024;
/** Bytes of all answers to one survey, as protobuf; in the place of what does not fit stands TOO_LARGE. */
export const SURVEY_RESULT_BYTES = 1024 * 1024;
/** Surveys that one session may begin in a minute; one more is RATE_LIMITED. */
export const SURVEYS_PER_MINUTE = 10;
/** Surveys that may be open on one node; one more is RATE_LIMITED. */
export const OPEN_SURVEYS = 100;
/** How long a caller that finds too many surveys open should wait, in milliseconds. */
export const SURVEYS_RETRY_MS = 1_000;
/** How long a backend may take to authenticate or authorize, in milliseconds. */
export const AUTH_TIMEOUT_MS = 5_000;
/** How long a revocation is remembered at most, and where no time is given, in milliseconds. */
export const MAX_REVOCATION_MS = 90 * 24 * 3_600_000;
/** Revocations that a deployment remembers; on Workers there is no such limit, but for MAX_USER_REVOCATIONS. */
export const MAX_REVOCATIONS = 100_000;
/** Single tokens of one user that Workers remember as revoked. */
export const MAX_USER_REVOCATIONS = 1_000;
/** How long before a connection's token expires its client gets `token_expiring`, in milliseconds. */
export const TOKEN_NOTICE_MS = 30_000;
/** How long a channel may take to answer before the request is UNAVAILABLE, in milliseconds. */
export const CHANNEL_TIMEOUT_MS = 5_000;
/** Entries in one batch between a gateway and a channel. */
export const MAX_BATCH_ENTRIES = 512;
/** Bytes in one batch between a gateway and a channel. */
export const MAX_BATCH_BYTES = 1024 * 1024;
/** Bytes that may wait for one peer (gateway or channel) before it is served another way. */
export const MAX_QUEUED_BYTES = 4 * 1024 * 1024;
/** Messages that the subscriptions of one request may replay; beyond it a gap `limit`. */
export const RECOVERY_MESSAGES = 10_000;
/** Bytes that the subscriptions of one request may replay; beyond it a gap `limit`. */
export const RECOVERY_BYTES = 4 * 1024 * 1024;
/**
 * Bytes of live messages and changes of presence that are held for one subscription, or for all patterns of
 * a session, while it recovers; past it they are let go and read again.
 */
export const MAX_REPLAY_BUFFER_BYTES = 1024 * 1024;
/** Messages in one answer to a history request. */
export const MAX_HISTORY_MESSAGES = 100;
/** Bytes of messages in one answer to a history request. A single message may be larger. */
export const MAX_HISTORY_BYTES = 64 * 1024;
/** Members in one answer to a presence request. */
export const MAX_PRESENCE_MEMBERS = 1_000;
/** Channels of one pattern that were published to since; where there are more, its verdict is a gap `limit`. */
export const MAX_PATTERN_CHANNELS = 1_000;
/**
 * Channels that are looked at for one pattern, those that were published to last first; where there were
 * more since the client's place, a gap `limit`.
 */
export const MAX_PATTERN_LOOKS = 20_000;
/** Longest source and id of an event, together, in bytes of UTF-8. */
export const MAX_EVENT_KEY_BYTES = 1_024;
/** The largest message that a server writes, in bytes, where inbound ones may have so many. */
export function largestFrame(maxMessageBytes: number): number {
  return 6 * maxMessageBytes + 4 * 1024;
}
/** How long a request for history by URL waits for the next message, in milliseconds. */
export const LONG_POLL_MS = 25_000;
/** Events in one batch of CloudEvents over HTTP. */
export const MAX_BATCH_EVENTS = 1_000;
/** Bytes of a request with one batch of CloudEvents. */
export const MAX_BATCH_REQUEST_BYTES = 1024 * 1024;
/** How long a request over HTTP may take until its body is whole, in milliseconds. */
export const MAX_BODY_MS = 30_000;
/**
 * Bytes of a request that has its answer already which are still taken, and thrown away; then its connection is cut.
 */
export const MAX_REST_BYTES = 16 * 1024 * 1024;
/** How long they are, in milliseconds. */
export const MAX_REST_MS = 5_000;
/** Bytes of one request to the server API. */
export const MAX_API_REQUEST_BYTES = 4 * 1024 * 1024;
/** Publications of one request to the server API. */
export const MAX_API_PUBLICATIONS = 1_000;
/** Channels, sessions and users of one publication, and of any other call. */
export const MAX_DESTINATIONS = 1_000;
/** The same of all publications of one request. */
export const MAX_API_DESTINATIONS = 10_000;
/** Channels that one answer of the server API lists. */
export const MAX_LISTED_CHANNELS = 1_000;
/** How long a ticket may be good, in milliseconds. */
export const MAX_TICKET_TTL_MS = 10 * 60_000;
/** Channels and patterns that one ticket may be for. */
export const MAX_TICKET_CHANNELS = 32;
/** Longest ticket, in characters: it stands in a URL, which has to pass everything on the way. */
export const MAX_TICKET_LENGTH = 4_096;
/** Longest id of a server-sent event, in bytes. */
export const MAX_EVENT_ID_BYTES = 2_048;
/** Channels whose positions stand in the id of an event by pattern: those heard last. */
export const MAX_EVENT_ID_CHANNELS = 32;
/** Longest user id that an authenticator may name, in bytes of UTF-8; a longer one is a refusal. */
export const MAX_USER_ID_BYTES = 255;
/** Longest token that is read as a JWT, in bytes. */
export const MAX_TOKEN_BYTES = 8 * 1024;
/** How far the clock of an issuer of tokens may be off, in milliseconds. */
export const TOKEN_LEEWAY_MS = 5_000;
/** Bytes of an issuer's set of keys; a longer one is not taken. */
export const MAX_JWKS_BYTES = 64 * 1024;
/** Keys of such a set; one with more is not taken. */
export const MAX_JWKS_KEYS = 50;
/** How long an issuer may take to hand over its keys, in milliseconds. */
export const JWKS_TIMEOUT_MS = 5_000;
/** From when on an issuer's keys are fetched again, in milliseconds; meanwhile they go on serving. */
export const JWKS_FRESH_MS = 5 * 60_000;
/** How long they serve while they cannot be fetched, in milliseconds; then connects are UNAVAILABLE. */
export const JWKS_STALE_MS = 60 * 60_000;
/** How often a key that is not known may have them fetched, for all clients of a node, in milliseconds. */
export const JWKS_UNKNOWN_KEY_MS = 30_000;
/** How soon they are fetched again after a failure, in milliseconds. */
export const JWKS_RETRY_MS = 5_000;
/** Longest id of a token, in bytes of UTF-8. */
export const MAX_TOKEN_ID_BYTES = 255;
/** Channels and patterns that a session may have by its token or its authenticator from connect on. */
export const MAX_IDENTITY_CHANNELS = 100;
/** Grants of one token. */
export const MAX_GRANTS = 100;
/** How deep a Struct may nest in what is written: decoders of other languages read little more. */
export const MAX_STRUCT_DEPTH = 30;
/** Longest code and type of a backend's refusal, in bytes of UTF-8; the table's stands for a longer one. */
export const MAX_ERROR_CODE_BYTES = 64;
/** Longest text of a backend's refusal, in bytes of UTF-8; a longer one is cut. */
export const MAX_ERROR_TEXT_BYTES = 1_024;
/**
 * A backend's refusal in bytes of its code, type and text, and of the names and texts of its metadata, which is left
 * out where all of it would be more.
 */
export const MAX_ERROR_BYTES = 4_096;

/** Traces of users and channels that one node runs at once. */
export const MAX_TRACES = 10;
/** How long a trace lasts where its caller does not say, and at most, in milliseconds. */
export const TRACE_MS = 60_000;
export const MAX_TRACE_MS = 600_000;
/** How long one reading of a trace waits for what may come, in milliseconds. */
export const TRACE_WAIT_MS = 500;
/** How long a trace goes on that nobody reads, in milliseconds. */
export const TRACE_UNREAD_MS = 5_000;
/** Frames that wait for a trace's next reading, and bytes of their payloads, about. */
export const MAX_TRACED_FRAMES = 1_000;
export const MAX_TRACED_BYTES = 524_288;
