/** What the engine asks the application: to authenticate a client, to authorize its subscriptions, and its RPCs. */
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Identity } from "./identity.ts";
import type { Span } from "./tracing.ts";

/** Says that the answer is no longer waited for: the client is gone or the deadline has passed. */
export interface Cancellation {
  readonly cancelled: boolean;
  /** Whether it was cancelled because the deadline has passed. Default: it is not known. */
  readonly late?: boolean;
  /**
   * When its deadline passes, in milliseconds since it was made: it is cancelled then, and a backend that needs no shorter one
   * need not keep the time. Default: it may have none.
   */
  readonly withinMs?: number;
  /** The span of the call, which a backend continues. Default: the call is in no trace. */
  readonly span?: Span | undefined;
  /** Called once; at once when already cancelled. */
  onCancel(callback: () => void): void;
}

/**
 * Why a backend has given no answer.
 *
 * - `timeout`: none within the time that it has.
 * - `unreachable`: no connection, or one that broke.
 * - `too_large`, `redirect`, `encoding`: an answer of a kind that is not read.
 * - `status`: an answer that says that it failed, such as 500 or a Connect error.
 * - `answer`: what is none, such as a page of HTML.
 * - `field`: an answer with a value of the wrong type or out of range.
 * - `circuit_open`, `busy`: it was not asked, because it fails all the time or has enough to do.
 * - `cancelled`: it is no longer waited for.
 */
export type FailureReason =
  | "timeout"
  | "unreachable"
  | "too_large"
  | "redirect"
  | "encoding"
  | "status"
  | "answer"
  | "field"
  | "circuit_open"
  | "busy"
  | "cancelled";

/**
 * A backend that has given no answer. Its text is for the log alone, and holds no token and nothing of an answer's
 * body: a client gets the server's own words.
 *
 * @example
 * const authorizeSubscribe: Backends["authorizeSubscribe"] = async ({ channel }) => {
 *   const answer = await fetch(`https://shop.example/may/${encodeURIComponent(channel)}`);
 *   if (answer.status === 403) throw new MessagingError("ACL_ERROR", "this channel is not yours");
 *   if (!answer.ok) throw new BackendFailure("status", `status ${answer.status}`);
 * };
 */
export class BackendFailure extends Error {
  override readonly name = "BackendFailure";
  readonly reason: FailureReason;

  /** @param message what happened, such as `status 502`; without a full stop */
  constructor(reason: FailureReason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}

/** The client that asks. Only `userId` is authenticated. */
export interface Caller {
  readonly sessionId: string;
  readonly clientId: string;
  readonly clientType: string;
  readonly userId: string;
}

export interface AuthenticateRequest {
  readonly token: string;
  readonly clientId: string;
  readonly clientType: string;
  readonly version: string;
  /** Made by the server, fresh for this connection. */
  readonly sessionId: string;
  /** Network address of the client; empty where the host does not know it. */
  readonly address: string;
}

export interface AuthorizeSubscribeRequest {
  /**
   * A channel, or a pattern with a word `*` or `**`. A pattern MUST be refused where any channel that it
   * stands for is: a session with it gets live messages, history and presence of them all. For a list
   * of what is forbidden ask `overlaps(forbidden, channel)`, for one of what is allowed
   * `covers(allowed, channel)`; both take channels as well.
   */
  readonly channel: string;
  /** The subscription's own token, empty when there is none. */
  readonly token: string;
  readonly caller: Caller;
}

/** What of a subscription's token says whether it is revoked: its id, and when it was issued. */
export type SubscriptionToken = Pick<Identity, "tokenId" | "issuedAt">;

/**
 * A yes that ends: what the server itself resolves with where it has read a subscription's own token. Applications
 * resolve with nothing.
 */
export class SubscriptionConsent {
  /** When the subscription ends, Unix milliseconds. */
  readonly expiresAt: number;
  /** The token, as far as it takes to revoke it. */
  readonly token: SubscriptionToken;

  constructor(expiresAt: number, token: SubscriptionToken = {}) {
    this.expiresAt = expiresAt;
    this.token = token;
  }
}

export interface RpcRequest {
  /** Id of the client's frame. */
  readonly id: string;
  readonly channel: string;
  readonly method: string;
  readonly payload: CloudEvent;
  readonly metadata: Readonly<Record<string, string>>;
  readonly caller: Caller;
}

/**
 * The application's backends. What is left out is not asked.
 *
 * - A refusal is a rejection with a MessagingError; its code, type, message and metadata reach the
 *   client. Any other rejection is a failure of the backend, and its text reaches the log alone; a
 *   BackendFailure says which one.
 * - A call MAY be cancelled; what it answers afterwards is ignored.
 */
export interface Backends {
  /**
   * Resolves with the identity of a token: the user, which must have a name, and what else is known. Without it
   * every client is anonymous.
   */
  authenticate?:
    | ((request: AuthenticateRequest, cancellation: Cancellation) => Promise<Identity>)
    | undefined;
  /** Resolves where the subscription is granted. Without it every channel is open. */
  authorizeSubscribe?:
    | ((request: AuthorizeSubscribeRequest, cancellation: Cancellation) => Promise<void>)
    | undefined;
  /**
   * Resolves with the answer, or with undefined for an empty one. Without it a request comes back as it
   * was.
   */
  rpc?:
    | ((request: RpcRequest, cancellation: Cancellation) => Promise<CloudEvent | undefined>)
    | undefined;
}
