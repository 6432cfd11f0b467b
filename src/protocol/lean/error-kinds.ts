/**
 * What follows from an error's code. Apart from the table for people, because every page that loads the SDK loads this.
 */

/** `error.type`, whether a retry may help, and whether the error counts towards 3509. What is left out is false. */
export type ErrorKind = readonly [type: string, retry?: boolean, counts?: boolean];

/** Of a request that is wrong, whenever it is made. */
const WRONG = ["client_error", false, true] as const;

export const ERROR_KINDS = {
  BAD_REQUEST: WRONG,
  AUTH_ERROR: ["auth_error", false, true],
  ACL_ERROR: ["acl_error", false, true],
  RPC_TIMEOUT: ["timeout", true],
  PROXY_ERROR: ["proxy_error", true],
  RATE_LIMITED: ["client_error", true],
  UNAVAILABLE: ["server_error", true],
  OUTCOME_UNKNOWN: ["client_error"],
  INTERNAL_ERROR: ["server_error", false, true],
  NOT_FOUND: WRONG,
  GONE: WRONG,
  METHOD_NOT_ALLOWED: WRONG,
  REQUEST_TIMEOUT: ["client_error", true],
  TOO_LARGE: WRONG,
  UNSUPPORTED_TYPE: WRONG,
  UNIMPLEMENTED: ["server_error"],
  DISCONNECT_ERROR: ["transport_error", true],
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;
