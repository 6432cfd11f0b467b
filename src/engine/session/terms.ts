/** What a session says of each kind of message and of each backend: tables, and no state. */
import { patternProblem } from "../../channels/patterns.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import type { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  Connect,
  InboundMessage,
  OutboundMessage,
  Subscription as SubscriptionMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_CLIENT_NAME_BYTES } from "../../protocol/limits.ts";
import { utf8Length } from "../../protocol/utf8.ts";
import type { MessageKind } from "../settings/settings.ts";
import { answeredConsent, answeredEvent, answeredUser } from "./backend-answers.ts";
import type { CallTerms } from "./backend-calls.ts";

export const AUTHENTICATE: Omit<CallTerms<string>, "timeoutMs"> = {
  backend: "authenticate",
  check: answeredUser,
  // An authenticator that does not say who it is has not authenticated anyone.
  invalid: ["AUTH_ERROR", "authentication failed"],
  timeout: ["UNAVAILABLE", "authentication took too long"],
  failure: ["UNAVAILABLE", "authentication failed"],
};
export const AUTHORIZE: Omit<CallTerms<void>, "timeoutMs"> = {
  backend: "authorizeSubscribe",
  check: answeredConsent,
  invalid: ["ACL_ERROR", "authorization failed"],
  timeout: ["UNAVAILABLE", "authorization took too long"],
  failure: ["UNAVAILABLE", "authorization failed"],
};
export const RPC: Omit<CallTerms<CloudEvent | undefined>, "timeoutMs"> = {
  backend: "rpc",
  check: answeredEvent,
  invalid: ["PROXY_ERROR", "the backend failed"],
  timeout: ["RPC_TIMEOUT", "the backend did not answer in time"],
  failure: ["PROXY_ERROR", "the backend failed"],
};

/** The kinds of messages that a deployment can switch off, by their envelope. */
export const KINDS: Readonly<Record<string, MessageKind>> = {
  publish: "publish",
  subscribe: "subscribe",
  unsubscribe: "unsubscribe",
  rpcRequest: "rpc_request",
  subRefresh: "sub_refresh",
  surveyRequest: "survey_request",
  surveyResponse: "survey_response",
  historyRequest: "history_request",
  presenceRequest: "presence_request",
};

/** What must stay in its place among deliveries; every other answer may overtake them. */
export const ORDERED: ReadonlySet<OutboundMessage["envelope"]["case"]> = new Set([
  "connected",
  "subscribeAck",
  "unsubscribeAck",
  "publication",
  "recovered",
  "gap",
  "presence",
]);

/** What has no answer waits for none, however much is under way. */
export const UNANSWERED: ReadonlySet<InboundMessage["envelope"]["case"]> = new Set([
  "surveyResponse",
  "received",
]);

/** What changes the session's subscriptions. */
export const CHANGES: ReadonlySet<InboundMessage["envelope"]["case"]> = new Set([
  "subscribe",
  "unsubscribe",
]);

/**
 * What a v1 client is told of subscriptions of which some were refused, and what its session is closed
 * with; undefined where a retry may mend it. A name that is none is the client's mistake and no matter of
 * what it may do.
 */
export function refusalOfAll(
  requested: readonly SubscriptionMessage[],
  errors: readonly MessagingError[],
): { readonly error: MessagingError; readonly disconnect: Disconnect | undefined } | undefined {
  const misnamed = requested.some(({ channel }) => patternProblem(channel) !== undefined);
  const wrong = misnamed ? errors.find(({ code }) => code === "BAD_REQUEST") : undefined;
  if (wrong !== undefined) return { error: wrong, disconnect: DISCONNECTS.badRequest };
  const error = errors[0];
  return error && { error, disconnect: error.retry ? undefined : DISCONNECTS.invalidToken };
}

/** What is wrong with a client's names for itself: they stand in every message it publishes. */
export function nameProblem({ clientId, clientType }: Connect): string | undefined {
  for (const [name, value] of Object.entries({ client_id: clientId, client_type: clientType })) {
    if (utf8Length(value) > MAX_CLIENT_NAME_BYTES) {
      return `${name} is longer than ${MAX_CLIENT_NAME_BYTES} bytes`;
    }
  }
  return undefined;
}
