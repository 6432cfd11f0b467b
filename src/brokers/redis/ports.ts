/**
 * What the Redis broker needs from a Redis client: commands that are routed by a key, and classic
 * Pub/Sub. Both speak raw bytes; no client library is named here.
 */

/** What goes to Redis; strings travel as UTF-8. */
export type RedisArgument = string | Uint8Array;

/** What comes back: strings as their bytes, integers as numbers. */
export type RedisReply = null | number | string | Uint8Array | readonly RedisReply[];

/** A script of the server's. It is sent by its digest, and whole where the server does not know it. */
export interface RedisScript {
  readonly name: string;
  readonly source: string;
}

/**
 * Commands on a connection that comes back by itself.
 *
 * - Commands for keys of one slot MUST take effect in the order of the calls, except that one which
 *   failed may be overtaken.
 * - A call MUST NOT wait for a connection: without one it rejects at once.
 * - Every rejection is a RedisFailure.
 */
export interface RedisCommands {
  /** @param key routes the command where there are several servers */
  command(key: string, args: readonly RedisArgument[]): Promise<RedisReply>;
  /** @param keys all in one slot; the first one routes */
  run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<RedisReply>;
  /**
   * Resolves when every server has answered and takes writes. Left out where one answer of any server is enough.
   *
   * @throws RedisFailure
   */
  probe?(): Promise<void>;
}

/** What a connection for Pub/Sub reports. */
export interface RedisListener {
  message(channel: string, payload: Uint8Array): void;
  /** The connection is gone, and with it every subscription. `cause` says why, where that is known. */
  lost(cause?: string): void;
  /** There is a connection again, without any subscription. */
  regained(): void;
}

/** Classic Pub/Sub on a connection of its own, which comes back by itself. */
export interface RedisSubscriptions {
  start(listener: RedisListener): void;
  /**
   * Resolves when the server has confirmed all of them.
   *
   * @throws RedisFailure where there is no connection, or it was lost before the answer
   */
  subscribe(channels: readonly string[]): Promise<void>;
  /** Has no outcome: a lost connection unsubscribes as well. */
  unsubscribe(channels: readonly string[]): void;
  /**
   * The same for globs. What several of them, or a name beside them, match comes several times.
   *
   * @throws RedisFailure
   */
  subscribeGlobs(globs: readonly string[]): Promise<void>;
  unsubscribeGlobs(globs: readonly string[]): void;
  /**
   * Resolves when the server has answered on this connection.
   *
   * @throws RedisFailure
   */
  ping?(): Promise<void>;
}

/** What a node has of Redis. */
export interface RedisConnection {
  readonly commands: RedisCommands;
  readonly subscriptions: RedisSubscriptions;
}

/**
 * What became of a command that has no answer.
 *
 * - `offline`: it was not sent.
 * - `lost`: it was sent, and whether it took effect is not known.
 * - `busy`: the server did nothing and may do it later, as while it loads or fails over.
 * - `refused`: the server did nothing and never will.
 * - `garbled`: the answer is not what the script says, and what it did is not known.
 */
export type RedisFailureKind = "offline" | "lost" | "busy" | "refused" | "garbled";

/** What a call to Redis has failed with, and whether Redis may have carried it out. */
export class RedisFailure extends Error {
  override readonly name = "RedisFailure";
  readonly kind: RedisFailureKind;

  constructor(kind: RedisFailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
