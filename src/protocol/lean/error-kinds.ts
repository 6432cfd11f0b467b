/**
 * What follows from an error's code. Apart from the table for people, because every page that loads the SDK loads this.
 */

/** `error.type`, whether a retry may help, and whether the error counts towards 3509. */
type Kind = readonly [type: string, retry: boolean, counts: boolean];

/** Of a request that is wrong, whenever it is made. */
const WRONG = ["client_error", false, true] as const;

export const ERROR_KINDS = {
  BAD_REQUEST: WRONG,
  AUTH_ERROR: ["auth_error", false, true],
  ACL_ERROR: ["acl_error", false, true],
  RPC_TIMEOUT: ["timeout", true, false],
  PROXY_ERROR: ["proxy_error", true, false],
  RATE_LIMITED: ["client_error", true, false],
  UNAVAILABLE: ["server_error", true, false],
  OUTCOME_UNKNOWN: ["client_error", false, false],
  INTERNAL_ERROR: ["server_error", false, true],
  NOT_FOUND: WRONG,
  METHOD_NOT_ALLOWED: WRONG,
  REQUEST_TIMEOUT: ["client_error", true, false],
  TOO_LARGE: WRONG,
  UNSUPPORTED_TYPE: WRONG,
  UNIMPLEMENTED: ["server_error", false, false],
  DISCONNECT_ERROR: ["transport_error", true, false],
} as const satisfies Record<string, Kind>;

export type ErrorCode = keyof typeof ERROR_KINDS;
