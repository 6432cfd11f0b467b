/** What a client of a target sends. It knows nothing of sockets, and the generator nothing of protocols. */

/** A whole WebSocket message. Bytes are sent as text by a dialect that is not binary. */
export type Frame = string | Uint8Array;

/** How far a client has come in a channel. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** Positions by the channel's name. */
export type Positions = Readonly<Record<string, Position>>;

export interface Dialect {
  readonly path: string;
  readonly subprotocol?: string;
  /** Whether its frames are binary ones. */
  readonly binary: boolean;
  /** Whether the target sends a frame before it has got one. */
  readonly greets?: boolean;
  /**
   * Frames that a client sends one after the other, each answered by one frame.
   *
   * @param client number of the client, from 0
   * @param channel what it subscribes to; undefined for one that only publishes
   */
  setup(client: number, channel: string | undefined): readonly Frame[];
  /** Where a client reads its channel as server-sent events, in place of a WebSocket, and the headers of its request. */
  events?(channel: string): { readonly path: string; readonly headers: readonly string[] };
  /**
   * A publish. The mark stands in it exactly once and comes out once in every delivery, as it is or at the start of
   * base64.
   *
   * @param sequence fresh for each publish of a load
   */
  publish(channel: string, sequence: number, mark: string, padding: string): Frame;
  /**
   * The channel's position, from the answer to the last frame of the set-up. With the option `positions` the dialect
   * asks for what came after them. Left out where nothing can be recovered.
   */
  position?(answer: Frame): Position;
}

/** A dialect as it crosses the border of a process: its name in the table of dialects, and what it is made with. */
export interface DialectSpec {
  readonly name: string;
  readonly options?: Readonly<Record<string, unknown>>;
}
