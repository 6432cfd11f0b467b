/**
 * The one error class. Inside, everything that may reach a client is thrown as a MessagingError;
 * the edge turns it into an error envelope. Any other error is ours to mend and reaches clients
 * only as INTERNAL_ERROR with a fixed text.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { ERRORS, type ErrorCode } from "./codes.ts";
import { type Error as ErrorMessage, ErrorSchema } from "./gen/messageloop/shared/v1/errors_pb.js";

/** An error with a code from the table; `type` and `retry` follow from it for known codes. */
export class MessagingError extends Error {
  override readonly name = "MessagingError";
  /** A code of the table, or a backend's own. */
  readonly code: string;
  /** Family of the code. */
  readonly type: string;
  /** Whether the same request may succeed later. */
  readonly retry: boolean;
  /** Whether it counts towards closing the session with 3509. */
  readonly counts: boolean;
  /** `retry_after_ms` (number, milliseconds) stands here when the server asks for a pause. */
  readonly metadata: JsonObject | undefined;

  constructor(
    code: ErrorCode | (string & {}),
    message: string,
    options: MessagingErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    // A backend's code may be anything at run time, and nothing that every object has is in the table.
    const known = typeof code === "string" && Object.hasOwn(ERRORS, code);
    const entry = known ? ERRORS[code as ErrorCode] : undefined;
    this.code = code;
    this.type = options.type ?? entry?.type ?? "error";
    this.retry = entry?.retry ?? false;
    this.counts = options.counts ?? entry?.counts ?? false;
    this.metadata = options.metadata;
  }

  /** Anything thrown, as a MessagingError. A foreign error's text is kept as cause, never as message. */
  static from(error: unknown): MessagingError {
    if (error instanceof MessagingError) return error;
    return new MessagingError("INTERNAL_ERROR", "internal error", { cause: error });
  }

  /** An error envelope's or acknowledgement's error, as received. */
  static fromMessage(message: ErrorMessage): MessagingError {
    return new MessagingError(message.code, message.message || "Server error", {
      type: message.type,
      ...(message.metadata === undefined ? {} : { metadata: message.metadata }),
    });
  }

  /** The form it has on the wire. */
  toMessage(): ErrorMessage {
    return create(ErrorSchema, {
      code: this.code,
      type: this.type,
      message: this.message,
      ...(this.metadata === undefined ? {} : { metadata: this.metadata }),
    });
  }
}

export interface MessagingErrorOptions {
  type?: string;
  /** Default: what the table says of the code. */
  counts?: boolean;
  metadata?: JsonObject;
  cause?: unknown;
}
