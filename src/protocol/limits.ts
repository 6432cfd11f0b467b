/** Every bound of the protocol, its default and its unit. Hosts may override what a setting names. */

/** How long a connection may take to send connect, in milliseconds; then it closes with 3502. */
export const CONNECT_DEADLINE_MS = 10_000;
/** How long a client may be silent, in milliseconds; then it closes with 3511. */
export const IDLE_TIMEOUT_MS = 300_000;
/** Channels one session may be subscribed to; one more closes with 3505. */
export const MAX_SUBSCRIPTIONS = 1_000;
/** Requests of one session that may fail within ERROR_WINDOW_MS; one more closes with 3509. */
export const MAX_ERRORS = 100;
/** The window that failed requests are counted in, in milliseconds. */
export const ERROR_WINDOW_MS = 60_000;
/** Largest inbound frame in bytes; a larger one closes with 1009. */
export const MAX_MESSAGE_BYTES = 64 * 1024;
/** Longest channel name in bytes of UTF-8. */
export const MAX_CHANNEL_BYTES = 255;
/** Frames that may wait behind a connect that is still being decided. */
export const MAX_WAITING_FRAMES = 64;
/** Bytes that may wait behind a connect that is still being decided. */
export const MAX_WAITING_BYTES = 256 * 1024;
/** Messages share one publication frame up to this many bytes. A single message may be larger. */
export const MAX_JOINED_BYTES = 64 * 1024;
/** Messages share one publication frame up to this many messages. */
export const MAX_JOINED_MESSAGES = 100;
/** Longest close reason in bytes of UTF-8, by RFC 6455. */
export const MAX_REASON_BYTES = 123;
/** How often a client should send the text frame `ping`, in milliseconds. */
export const PING_INTERVAL_MS = 25_000;
/** RPCs of one session that may be waiting for their answer; one more is RATE_LIMITED. */
export const MAX_IN_FLIGHT_RPCS = 32;
/** How long a backend may take to answer an RPC, in milliseconds; then RPC_TIMEOUT. */
export const RPC_TIMEOUT_MS = 30_000;
/** How long a backend may take to authenticate or authorize, in milliseconds. */
export const AUTH_TIMEOUT_MS = 5_000;
/** How long a channel may take to answer before the request is UNAVAILABLE, in milliseconds. */
export const CHANNEL_TIMEOUT_MS = 5_000;
/** Entries in one batch between a gateway and a channel. */
export const MAX_BATCH_ENTRIES = 512;
/** Bytes in one batch between a gateway and a channel. */
export const MAX_BATCH_BYTES = 1024 * 1024;
/** Bytes that may wait for one peer (gateway or channel) before it is served another way. */
export const MAX_QUEUED_BYTES = 4 * 1024 * 1024;
