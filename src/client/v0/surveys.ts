/** Surveys as applications see them: what has come of one, and how to answer those of others. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { MessagingError } from "../../protocol/errors.ts";
import type {
  OutboundMessage,
  SurveyRequest,
  SurveyResponseSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_SURVEY_TIMEOUT_MS, SURVEY_TIMEOUT_MS } from "../../protocol/limits.ts";
import { unexpected } from "./connection.ts";
import { type CloudEvent, fromWireEvent, toWireEvent } from "./events.ts";

/** What one session has answered: an event, an error, or neither. */
export interface SurveyAnswer {
  sessionId: string;
  /** Who authentication says it is; empty without authentication. */
  userId: string;
  /** The client's own name for itself; it proves nothing. */
  clientId: string;
  event: CloudEvent | undefined;
  error: MessagingError | undefined;
}

/** What has come of a survey. */
export interface SurveyResult {
  /** At most one of each session. */
  answers: SurveyAnswer[];
  /** Ids of the sessions that were asked and have not answered. */
  silent: string[];
  /** Servers, or gateways, of which it is not known what their sessions have answered, and why. */
  unreached: { node: string; reason: string }[];
}

export interface SurveyTerms {
  /** Milliseconds that the server waits for answers: default 5,000, at most 60,000. */
  timeoutMs?: number;
  /** This client is not asked itself. Default false. */
  othersOnly?: boolean;
}

/**
 * Answers a question to the subscribers of a channel.
 *
 * @throws MessagingError is the answer then; anything else is a failure, which is told as `INTERNAL_ERROR`
 */
export type SurveyHandler = (
  question: CloudEvent,
  channel: string,
) => CloudEvent | Promise<CloudEvent>;

/**
 * How long the server is to wait for answers, in milliseconds.
 *
 * @throws MessagingError BAD_REQUEST
 */
export function surveyTimeout({ timeoutMs = SURVEY_TIMEOUT_MS }: SurveyTerms): number {
  if (!(timeoutMs > 0)) throw new MessagingError("BAD_REQUEST", "timeoutMs is not above 0");
  return Math.min(Math.ceil(timeoutMs), MAX_SURVEY_TIMEOUT_MS);
}

/** The parts of a result as one. */
export function surveyResult(parts: readonly OutboundMessage[]): SurveyResult {
  const results = parts.map((part) => {
    if (part.envelope.case !== "surveyResult") throw unexpected(part);
    return part.envelope.value;
  });
  return {
    answers: results
      .flatMap(({ answers }) => answers)
      .map(({ sessionId, userId, clientId, payload, error }) => ({
        sessionId,
        userId,
        clientId,
        event: payload === undefined ? undefined : fromWireEvent(payload),
        error: error === undefined ? undefined : MessagingError.fromMessage(error),
      })),
    silent: results.flatMap(({ silent }) => silent),
    unreached: results
      .flatMap(({ unreached }) => unreached)
      .map(({ node, reason }) => ({ node, reason })),
  };
}

/**
 * The answer to a question. There is one in any case, so that nobody waits for it.
 *
 * @param failed is told what the handler has thrown that is no answer
 */
export async function surveyResponse(
  { requestId, payload }: SurveyRequest,
  handler: SurveyHandler | undefined,
  failed: (error: unknown) => void,
): Promise<MessageInitShape<typeof SurveyResponseSchema>> {
  try {
    if (handler === undefined) {
      throw new MessagingError("UNIMPLEMENTED", "this client answers no surveys");
    }
    if (payload === undefined) throw new MessagingError("BAD_REQUEST", "the question is missing");
    const answer = await handler(fromWireEvent(payload), payload.source);
    return { requestId, payload: toWireEvent(answer) };
  } catch (error) {
    if (!(error instanceof MessagingError)) failed(error);
    return { requestId, error: MessagingError.from(error).toMessage() };
  }
}
