/** Surveys as applications see them: what has come of one, and how to answer those of others. */
import { MessagingError } from "../../protocol/errors.ts";
import { surveyResult as resultOf, surveyAnswer } from "../core/calls/surveys.ts";
import type { Answer, Answers } from "../core/requests.ts";
import type { InboundFrame } from "../wire/frames.ts";
import { type CloudEvent, type EventLike, normalized, plainEvent } from "./cloud-event.ts";

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
) => EventLike | Promise<EventLike>;

const TIMEOUT_MS = 5_000;
const LONGEST_TIMEOUT_MS = 60_000;

/**
 * How long the server is to wait for answers, in milliseconds.
 *
 * @throws MessagingError BAD_REQUEST
 */
export function surveyTimeout({ timeoutMs = TIMEOUT_MS }: SurveyTerms): number {
  if (!(timeoutMs > 0)) throw new MessagingError("BAD_REQUEST", "timeoutMs is not above 0");
  return Math.min(Math.ceil(timeoutMs), LONGEST_TIMEOUT_MS);
}

/** The parts of a result as one. */
export function surveyResult(parts: Answers<"survey_result">): SurveyResult {
  const { answers, silent, unreached } = resultOf(parts);
  return {
    answers: answers.map(({ sessionId, userId, clientId, event, error }) => ({
      ...{ sessionId, userId, clientId, error },
      event: event && normalized(event),
    })),
    silent: [...silent],
    unreached: [...unreached],
  };
}

/**
 * The answer to a question. There is one in any case, so that nobody waits for it.
 *
 * @param failed is told what the handler has thrown that is no answer
 */
export async function surveyResponse(
  { request_id, payload = {} }: Answer<"survey_request">,
  handler: SurveyHandler | undefined,
  failed: (error: unknown) => void,
): Promise<NonNullable<InboundFrame["survey_response"]>> {
  const answer = await surveyAnswer(
    payload,
    handler && (({ event, channel }) => handler(normalized(event), channel)),
    (value) => plainEvent(value as EventLike),
    failed,
  );
  return { request_id, ...answer };
}
