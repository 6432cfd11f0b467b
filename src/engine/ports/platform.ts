/** What the engine needs of the machine that it runs on: time, chance, timers and a log. */

export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /**
   * Milliseconds since any moment, for measuring how long a client has been silent. A host that can
   * leaves out steps of the time of day, and time in which it could not read. Default: `now`.
   */
  steady?(): number;
}

export interface Random {
  /** A random UUID, version 4, unguessable. */
  uuid(): string;
}

/** HMAC-SHA256 of a message. */
export type Hmac = (
  secret: Uint8Array,
  message: Uint8Array,
) => Uint8Array | Promise<Uint8Array<ArrayBuffer>>;

export interface Timers {
  /** Calls back once after `ms` milliseconds, unless what it returns is called first. */
  after(ms: number, callback: () => void): () => void;
}

/** What a log line carries beside its message; never a payload or a token. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Where operators read what happens. A logger that leaves out a level does not want it, and callers
 * write `logger.debug?.(…)`, so that its fields are not even made.
 */
export interface Logger {
  /** Something that an operator should know; never a client's address. */
  warn(message: string, fields?: LogFields): void;
  /** Something that changed and is no trouble, such as a connection that is back. */
  info?(message: string, fields?: LogFields): void;
  /**
   * What the bearer of a key has changed, such as a session that was ended. Not bounded: each is written. A logger without it
   * gets them as infos.
   */
  audit?(message: string, fields?: LogFields): void;
  /** Single connections: opened, refused, closed. A client's address may stand here. */
  debug?(message: string, fields?: LogFields): void;
}
