/** One request to a backend over HTTP, as a host carries it. Forms make the requests, hosts send them. */
import type { Cancellation } from "../../engine/ports/backends.ts";

export { BackendFailure, type FailureReason } from "../../engine/ports/backends.ts";

/** A POST. */
export interface BackendRequest {
  /** What the backend is asked: `rpc`, `authenticate`, `subscribe_acl` and so on, for metrics and the log. */
  readonly hook: string;
  /**
   * By name, in lower case; Content-Type is not among them. They stand above the headers that the operator has set
   * for the backend. Values are printable ASCII.
   */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Stands after the path of the backend's address, and begins with a slash. Default: nothing does. */
  readonly path?: string;
}

export interface BackendResponse {
  readonly status: number;
  /** The header Content-Type as it came; empty where there is none. */
  readonly contentType: string;
  /** What `ce-` headers say, for a backend that is asked with CloudEvents; undefined where there are none. */
  readonly attributes?: AttributeHeaders | undefined;
  /** All of it, within the host's bound, which holds for the attributes and the body together. */
  readonly body: Uint8Array;
}

/** Attributes of an event in the binary mode. */
export interface AttributeHeaders {
  /** By attribute, as they came. */
  readonly values: ReadonlyMap<string, string>;
  /** Whether the host has read values as UTF-8; else each character is a byte. */
  readonly areText: boolean;
}

/**
 * Sends one request and resolves with the answer, of any status. MUST NOT follow redirects, MUST bound
 * time and bytes, and MUST stop when the call is cancelled.
 *
 * Rejects with a BackendFailure, whose text is for the log alone.
 *
 * @param timeoutMs how long the backend has for all of it, in milliseconds
 */
export type Post = (
  request: BackendRequest,
  cancellation: Cancellation,
  timeoutMs: number,
) => Promise<BackendResponse>;
