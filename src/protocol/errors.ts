/**
 * The one error class. Inside, everything that may reach a client is thrown as a MessagingError;
 * the edge turns it into an error envelope. Any other error is ours to mend and reaches clients
 * only as INTERNAL_ERROR with a fixed text.
 */
import { ERROR_KINDS, type ErrorCode, type ErrorKind } from "./lean/error-kinds.ts";

// The types of the protobuf runtime, written out: a program that uses the SDK alone has none of it.
type JsonValue = number | string | boolean | null | JsonObject | JsonValue[];
type JsonObject = { [name: string]: JsonValue };

/** `messageloop.shared.v1.Error` as a message. */
type ErrorMessage = {
  $typeName: "messageloop.shared.v1.Error";
  code: string;
  type: string;
  message: string;
  metadata?: JsonObject | undefined;
};

/** A backend's code may be anything at run time, and nothing that every object has is in the table. */
const KINDS: ReadonlyMap<string, ErrorKind> = new Map(Object.entries(ERROR_KINDS));

/**
 * An error with a code from the table; `type` and `retry` follow from it for known codes.
 *
 * @example
 * try {
 *   await client.publish("chat.lobby", { text: "hello" });
 * } catch (error) {
 *   if (error instanceof MessagingError && error.code === "ACL_ERROR") showReadOnly();
 *   else throw error;
 * }
 */
export class MessagingError extends Error {
  override readonly name = "MessagingError";
  // Only declared: the constructor makes them, and a page loads each name once less.
  /** A code of the table, or a backend's own. */
  declare readonly code: string;
  /** Family of the code. */
  declare readonly type: string;
  /** Whether the same request may succeed later. */
  declare readonly retry: boolean;
  /** Whether it counts towards closing the session with 3509. */
  declare readonly counts: boolean;
  /** `retry_after_ms` (number, milliseconds) stands here when the server asks for a pause. */
  declare readonly metadata: JsonObject | undefined;
  /** In the SDK: how the connection ended that this is about. */
  declare readonly close: { readonly code: number; readonly reason: string } | undefined;

  constructor(
    code: ErrorCode | (string & {}),
    message: string,
    options: MessagingErrorOptions = {},
  ) {
    super(message, options);
    const [type, retry = false, counts = false] = KINDS.get(code) ?? ["error"];
    this.code = code;
    this.type = options.type ?? type;
    this.retry = retry;
    this.counts = options.counts ?? counts;
    this.metadata = options.metadata;
    this.close = options.close;
  }

  /** Anything thrown, as a MessagingError. A foreign error's text is kept as cause, never as message. */
  static from(error: unknown): MessagingError {
    if (error instanceof MessagingError) return error;
    return new MessagingError("INTERNAL_ERROR", "internal error", { cause: error });
  }
}

export interface MessagingErrorOptions {
  type?: string | undefined;
  /** Default: what the table says of the code. */
  counts?: boolean;
  metadata?: JsonObject | undefined;
  close?: { readonly code: number; readonly reason: string } | undefined;
  cause?: unknown;
}

/** The outcome is unknown; the same request may be sent again. */
export function unavailable(message: string, cause?: unknown): MessagingError {
  return new MessagingError("UNAVAILABLE", message, cause === undefined ? {} : { cause });
}

/**
 * Too much at once.
 *
 * @param retryAfterMs how long the client should wait, in milliseconds
 */
export function rateLimited(message: string, retryAfterMs: number): MessagingError {
  return new MessagingError("RATE_LIMITED", message, {
    metadata: { retry_after_ms: retryAfterMs },
  });
}

/** An error envelope's or acknowledgement's error, as received. */
export function errorFrom(message: Omit<ErrorMessage, "$typeName">): MessagingError {
  const { code, type, metadata } = message;
  return new MessagingError(code, message.message || "Server error", { type, metadata });
}

/** The form that an error has on the wire. */
export function errorMessage(error: MessagingError): ErrorMessage {
  const { code, type, message, metadata } = error;
  return {
    $typeName: "messageloop.shared.v1.Error",
    ...{ code, type, message },
    ...(metadata === undefined ? {} : { metadata }),
  };
}
