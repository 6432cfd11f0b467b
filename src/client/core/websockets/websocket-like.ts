/** WebSockets, whatever the runtime. Types only. */

/** A WebSocket constructor: the global one, or that of the `ws` package on Node before 22. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** The part of a WebSocket that the SDK uses. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  /** Null in Workers. */
  readonly protocol?: string | null | undefined;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Of the `ws` package: ends it without the other side. */
  terminate?(): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { code: number; reason: string }) => void,
  ): void;
}
