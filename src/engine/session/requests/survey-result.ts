/** The result of a client's survey, in messages that the client reads. */
import { create } from "@bufbuild/protobuf";
import { errorMessage } from "../../../protocol/errors.ts";
import {
  type SurveyResult,
  SurveyResultSchema,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import type { SurveyOutcome } from "../../survey/outcome.ts";
import type { Client } from "../client.ts";
import { fitting } from "../frame-limit.ts";

/**
 * The result in parts of at most so many bytes, except that a single answer may be longer. There is one part at
 * least, and all but the last say that there are more.
 */
export function* resultParts(
  requestId: string,
  { answers, silent, unreached }: SurveyOutcome,
  client: Pick<Client, "encoding" | "eventFor">,
  room: number,
): Generator<SurveyResult> {
  let rest = [
    ...answers.map(({ sessionId, userId, clientId, payload, error }) =>
      create(SurveyResultSchema, {
        answers: [
          {
            sessionId,
            userId,
            clientId,
            ...(payload === undefined ? {} : { payload: client.eventFor(payload) }),
            ...(error === undefined ? {} : { error: errorMessage(error) }),
          },
        ],
      }),
    ),
    ...silent.map((id) => create(SurveyResultSchema, { silent: [id] })),
    ...unreached.map((node) => create(SurveyResultSchema, { unreached: [{ ...node }] })),
  ];
  do {
    const count = fitting(SurveyResultSchema, rest, client.encoding, room);
    const part = rest.slice(0, count);
    rest = rest.slice(count);
    yield create(SurveyResultSchema, {
      requestId,
      answers: part.flatMap((one) => one.answers),
      silent: part.flatMap((one) => one.silent),
      unreached: part.flatMap((one) => one.unreached),
      more: rest.length > 0,
    });
  } while (rest.length > 0);
}
