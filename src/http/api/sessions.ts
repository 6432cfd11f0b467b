/** What the server API does to sessions: ends them, changes what they are subscribed to, asks them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { patternProblem } from "../../channels/patterns.ts";
import { eventForJson } from "../../protocol/cloudevents.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  DisconnectRequest,
  DisconnectResponseSchema,
  SubscribeRequest,
  SurveyRequest,
  SurveyResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import type { Error as ErrorMessage } from "../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import { MAX_DESTINATIONS, SURVEY_TIMEOUT_MS } from "../../protocol/limits.ts";
import { type ApiCall, checkMost, itemError, settled } from "./context.ts";

/** Channels of a session that are to change. */
type Change = Pick<SubscribeRequest, "sessionId" | "channels">;

interface Changed {
  readonly results: Record<string, boolean>;
  readonly errors: Record<string, ErrorMessage>;
}

/**
 * Disconnect: ends sessions by their ids, and all sessions of users.
 *
 * @returns for each session whether there was one, for each user how many there were, and the errors beside that
 * @throws MessagingError BAD_REQUEST for too many, or a code that no server may send for an application
 */
export async function disconnect(
  { engine, principal }: ApiCall,
  { sessions, users, code, reason }: DisconnectRequest,
): Promise<MessageInitShape<typeof DisconnectResponseSchema>> {
  principal.checkEverywhere("manage");
  checkMost(sessions.length + users.length, MAX_DESTINATIONS, "sessions and users");
  const closing = code === 0 ? DISCONNECTS.forceDisconnect.code : code;
  // The others of the table say what only the server can know.
  if (closing !== 1000 && (closing < 3000 || closing > 4999)) {
    throw new MessagingError("BAD_REQUEST", "the code is neither 1000 nor one from 3000 to 4999");
  }
  const [bySession, byUser] = await Promise.all([
    settled(sessions, (session) => engine.disconnect(session, closing, reason)),
    settled(users, (user) => engine.disconnectUser(user, closing, reason)),
  ]);
  return {
    results: bySession.results,
    users: byUser.results,
    sessionErrors: bySession.errors,
    userErrors: byUser.errors,
  };
}

/**
 * Subscribe: gives a session channels and patterns from the server's side.
 *
 * @returns for each channel whether it was done, and the errors of those that were refused
 */
export async function subscribe(call: ApiCall, request: Change): Promise<Changed> {
  const { sessionId } = request;
  return await change(call, request, async (allowed, errors) => {
    const outcome = await call.engine.subscribe(sessionId, allowed);
    for (const [channel, error] of Object.entries(outcome.errors)) {
      errors.set(channel, errorMessage(error));
    }
    return outcome.results;
  });
}

/**
 * Unsubscribe: takes channels and patterns from a session.
 *
 * @returns for each channel whether it was done, and the errors of those that may not be changed
 */
export async function unsubscribe(call: ApiCall, request: Change): Promise<Changed> {
  const { sessionId } = request;
  return await change(call, request, (allowed) => call.engine.unsubscribe(sessionId, allowed));
}

/** Changes what may be changed; each channel that may not has its error. */
async function change(
  { principal }: ApiCall,
  { channels }: Change,
  apply: (
    channels: readonly string[],
    errors: Map<string, ErrorMessage>,
  ) => Promise<Readonly<Record<string, boolean>>>,
): Promise<Changed> {
  checkMost(channels.length, MAX_DESTINATIONS, "channels");
  // Channels have names of any kind, those of an object's own properties among them.
  const errors = new Map<string, ErrorMessage>();
  const allowed = channels.filter((channel) => {
    try {
      principal.check("manage", channel);
      const problem = patternProblem(channel);
      if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
      return true;
    } catch (error) {
      errors.set(channel, errorMessage(MessagingError.from(error)));
      return false;
    }
  });
  const done = allowed.length === 0 ? {} : await apply(allowed, errors);
  const results = channels.map((channel) => [
    channel,
    Object.hasOwn(done, channel) && done[channel] === true,
  ]);
  return { results: Object.fromEntries(results), errors: Object.fromEntries(errors) };
}

/**
 * Survey: asks the sessions of a channel, and waits for their answers.
 *
 * @returns the answers and refusals, the sessions that were silent, and the nodes that could not be asked, with reasons
 * @throws MessagingError ACL_ERROR where the key may not both publish to the channel and read it
 */
export async function survey(
  { engine, principal, encoding, cancellation }: ApiCall,
  { requestId, channel, payload, timeoutMs }: SurveyRequest,
): Promise<MessageInitShape<typeof SurveyResponseSchema>> {
  principal.check("publish", channel);
  principal.check("read", channel);
  const question = payload ?? create(CloudEventSchema);
  const outcome = await engine.survey(channel, question, {
    timeoutMs: timeoutMs === 0 ? SURVEY_TIMEOUT_MS : timeoutMs,
    cancellation,
  });
  const told = (event: CloudEvent): CloudEvent =>
    encoding === "json" ? eventForJson(event) : event;
  return {
    requestId,
    results: outcome.answers.map(({ sessionId, userId, clientId, payload: answer, error }) => ({
      sessionId,
      userId,
      clientId,
      ...(answer === undefined ? {} : { payload: told(answer) }),
      ...itemError(error),
    })),
    silent: [...outcome.silent],
    unreached: outcome.unreached.map(({ node }) => node),
    unreachedReasons: Object.fromEntries(
      outcome.unreached.map(({ node, reason }) => [node, reason]),
    ),
  };
}
