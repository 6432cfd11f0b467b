/**
 * The one table of what an error of ours is in HTTP and in Connect, and the answers that are made of it.
 * Every door over HTTP refuses by it.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { errorMessage, MessagingError } from "../protocol/errors.ts";
import { ErrorSchema } from "../protocol/gen/messageloop/shared/v1/errors_pb.js";
import { ERROR_KINDS, type ErrorCode } from "../protocol/lean/error-kinds.ts";

/** What an error is elsewhere. */
export interface Status {
  readonly http: number;
  readonly connect: Code;
}

/** Of one line HTTP's status is the one that Connect has for its code, except where HTTP has one of its own. */
export const STATUSES: Readonly<Record<ErrorCode, Status>> = {
  BAD_REQUEST: { http: 400, connect: Code.InvalidArgument },
  AUTH_ERROR: { http: 401, connect: Code.Unauthenticated },
  ACL_ERROR: { http: 403, connect: Code.PermissionDenied },
  NOT_FOUND: { http: 404, connect: Code.NotFound },
  GONE: { http: 410, connect: Code.NotFound },
  METHOD_NOT_ALLOWED: { http: 405, connect: Code.Unimplemented },
  REQUEST_TIMEOUT: { http: 408, connect: Code.DeadlineExceeded },
  TOO_LARGE: { http: 413, connect: Code.ResourceExhausted },
  OUTCOME_UNKNOWN: { http: 409, connect: Code.Aborted },
  UNSUPPORTED_TYPE: { http: 415, connect: Code.InvalidArgument },
  RATE_LIMITED: { http: 429, connect: Code.ResourceExhausted },
  INTERNAL_ERROR: { http: 500, connect: Code.Internal },
  UNIMPLEMENTED: { http: 501, connect: Code.Unimplemented },
  PROXY_ERROR: { http: 502, connect: Code.Unavailable },
  UNAVAILABLE: { http: 503, connect: Code.Unavailable },
  RPC_TIMEOUT: { http: 504, connect: Code.DeadlineExceeded },
  DISCONNECT_ERROR: { http: 409, connect: Code.Aborted },
};

/** A code that an application's backend has made up refuses what was asked. */
const OF_BACKENDS: Status = { http: 403, connect: Code.PermissionDenied };

/**
 * What an error is in HTTP and in Connect; a code of an application's own is a refusal.
 *
 * @example
 * statusOf({ code: "RATE_LIMITED" }); // { http: 429, connect: Code.ResourceExhausted }
 */
export function statusOf({ code }: Pick<MessagingError, "code">): Status {
  return Object.hasOwn(ERROR_KINDS, code) ? STATUSES[code as ErrorCode] : OF_BACKENDS;
}

/**
 * An answer that says no: the status of the table, and `{"code":…,"message":…}` as JSON.
 *
 * @param error anything thrown; what is no MessagingError is INTERNAL_ERROR with a fixed text
 */
export function problemResponse(
  error: unknown,
  more: Readonly<Record<string, string>> = {},
): Response {
  const known = MessagingError.from(error);
  return new Response(JSON.stringify({ code: known.code, message: known.message }), {
    status: statusOf(known).http,
    headers: {
      "Content-Type": "application/json; charset=utf-8",
      "Cache-Control": "no-store",
      ...headersOf(known),
      ...more,
    },
  });
}

/** The same as Connect, gRPC and gRPC-Web say it; the error itself is a detail. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const known = MessagingError.from(error);
  const detail = { desc: ErrorSchema, value: errorMessage(known) };
  const { connect } = statusOf(known);
  return new ConnectError(known.message, connect, headersOf(known), [detail], known);
}

/** The status of a call by plain HTTP: the one that Connect has for its code, but for a request that came too late. */
export function callStatusOf({ code, cause }: Pick<ConnectError, "code" | "cause">): number {
  const late = cause instanceof MessagingError && cause.code === "REQUEST_TIMEOUT";
  return late ? STATUSES.REQUEST_TIMEOUT.http : codeToHttpStatus(code);
}

function headersOf({ code, metadata }: MessagingError): Record<string, string> {
  const pause = metadata?.["retry_after_ms"];
  return {
    ...(code === "AUTH_ERROR" ? { "WWW-Authenticate": "Bearer" } : {}),
    ...(typeof pause === "number" ? { "Retry-After": `${Math.ceil(pause / 1000)}` } : {}),
  };
}
