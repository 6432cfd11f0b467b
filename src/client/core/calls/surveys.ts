/** Questions to all subscribers of a channel, and their answers. */
import { MessagingError } from "../../../protocol/errors.ts";
import type { WireError, WireEvent } from "../../wire/frames.ts";
import { type CloudEvent, fromWireEvent, toWireEvent } from "../cloud-event.ts";
import { identityOf } from "../message.ts";
import { type Answers, errorOf } from "../requests.ts";
import type { SurveyHandler, SurveyResult } from "./calls.ts";

/** What all parts of a result say together. */
export function surveyResult<T>(parts: Answers<"survey_result">): SurveyResult<T> {
  return {
    answers: parts.flatMap(({ answers = [] }) =>
      answers.map(({ payload, error, ...who }) => {
        const event = payload && (fromWireEvent(payload) as CloudEvent<T>);
        return { ...identityOf(who), data: event?.data, event, error: error && errorOf(error) };
      }),
    ),
    silent: parts.flatMap(({ silent = [] }) => silent),
    unreached: parts.flatMap(({ unreached = [] }) =>
      unreached.map(({ node = "", reason = "" }) => ({ node, reason })),
    ),
  };
}

/**
 * What the application answers to a question.
 *
 * @param eventOf makes an event of what it says
 * @param failed is given what is no answer; whoever asks learns that there was a failure
 */
export async function surveyAnswer(
  question: WireEvent,
  handler: SurveyHandler | undefined,
  eventOf: (value: unknown) => CloudEvent,
  failed: (error: unknown) => void,
): Promise<{ readonly payload: WireEvent } | { readonly error: WireError }> {
  try {
    if (!handler) {
      throw new MessagingError("UNIMPLEMENTED", "no surveys are answered");
    }
    const event = fromWireEvent(question);
    const answer = await handler({ channel: event.source, data: event.data, event });
    return { payload: toWireEvent(eventOf(answer)) };
  } catch (error) {
    if (!(error instanceof MessagingError)) failed(error);
    const { code, type, message, metadata } = MessagingError.from(error);
    return { error: { code, type, message, metadata } };
  }
}
