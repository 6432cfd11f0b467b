/** How much of the answers a survey keeps. */
import { toBinary } from "@bufbuild/protobuf";
import { errorMessage, MessagingError } from "../../protocol/errors.ts";
import { CloudEventSchema } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { ErrorSchema } from "../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import type { SurveyAnswer } from "./outcome.ts";

/** What an answer says, in bytes of protobuf. */
export function bytesOf({ payload, error }: SurveyAnswer): number {
  const said = payload === undefined ? 0 : toBinary(CloudEventSchema, payload).length;
  return said + (error === undefined ? 0 : toBinary(ErrorSchema, errorMessage(error)).length);
}

/** What stands in the place of an answer that is not kept. */
export function withoutPayload(answer: SurveyAnswer, error: MessagingError): SurveyAnswer {
  return { ...answer, payload: undefined, error };
}

/** Keeps answers up to so many bytes; of any other it is kept that there was one. */
export class AnswerBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** The answer, or what stands for it where there is no room for it. */
  fit(answer: SurveyAnswer): SurveyAnswer {
    const bytes = bytesOf(answer);
    if (bytes > this.#left) {
      const error = new MessagingError("TOO_LARGE", "the result of the survey has no room for it");
      return withoutPayload(answer, error);
    }
    this.#left -= bytes;
    return answer;
  }
}
