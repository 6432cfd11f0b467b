/**
 * `messageloop/stream`: ways to a server beside WebSocket.
 *
 * @example
 * import { dial, webSocket } from "messageloop";
 * import { connectStream, fallback } from "messageloop/stream";
 * const transport = fallback([webSocket(), connectStream()]);
 * const client = await dial("wss://example.com/ws", { transport });
 */
export { type ConnectStreamOptions, connectStream } from "./connect-stream.ts";
export { type EventStreamOptions, eventStream } from "./event-stream.ts";
export { type FallbackOptions, fallback } from "./fallback.ts";
export type { Fetch, FetchAnswer } from "./fetch.ts";
export type { SessionMemory } from "./session-memory.ts";
