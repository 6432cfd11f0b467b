/** What the engine asks the application: who a client is, what it may subscribe to, and its RPCs. */
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";

/** Says that nobody waits for an answer any more: the client is gone or the deadline has passed. */
export interface Cancellation {
  readonly cancelled: boolean;
  /** Called once; at once when already cancelled. */
  onCancel(callback: () => void): void;
}

/** Who asks. Only `userId` is authenticated. */
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
   * stands for is: whoever is granted it gets live messages, history and presence of them all. For a list
   * of what is forbidden ask `overlaps(forbidden, channel)`, for one of what is allowed
   * `covers(allowed, channel)`; both take channels as well.
   */
  readonly channel: string;
  /** The subscription's own token, empty when there is none. */
  readonly token: string;
  readonly caller: Caller;
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
 *   client. Any other rejection is a failure of the backend, and its text reaches nobody.
 * - A call MAY be cancelled; what it answers afterwards is ignored.
 */
export interface Backends {
  /** Resolves with the user that a token stands for. Without it everyone is anonymous. */
  authenticate?:
    | ((
        request: AuthenticateRequest,
        cancellation: Cancellation,
      ) => Promise<{ readonly userId: string }>)
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
