/**
 * What the application's backends may answer. Types do not hold at run time, so every value is looked at
 * where it comes in: what is not valid names its field, and never gets further.
 */
import { toBinary } from "@bufbuild/protobuf";
import { canonicalEvent } from "../../protocol/cloudevents.ts";
import type { ErrorCode } from "../../protocol/codes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { jsonProblem } from "../../protocol/json-value.ts";
import {
  MAX_ERROR_CODE_BYTES,
  MAX_ERROR_METADATA_BYTES,
  MAX_ERROR_TEXT_BYTES,
  MAX_STRUCT_DEPTH,
  MAX_USER_ID_BYTES,
} from "../../protocol/limits.ts";
import { utf8Cut, utf8Length } from "../../protocol/utf8.ts";
import { errorText } from "../error-text.ts";
import { BadValue, eventOf, kindOf, objectOf, textOf } from "./application-values.ts";

/** @throws BadValue where the authenticator names no user. */
export function answeredUser(answer: unknown): string {
  const { userId } = objectOf(answer, "answer");
  if (typeof userId !== "string") throw new BadValue("userId", `is ${kindOf(userId)}`);
  if (userId === "") throw new BadValue("userId", "is empty");
  if (!userId.isWellFormed()) throw new BadValue("userId", "is not valid Unicode");
  if (utf8Length(userId) > MAX_USER_ID_BYTES) {
    throw new BadValue("userId", `is longer than ${MAX_USER_ID_BYTES} bytes`);
  }
  return userId;
}

/** @throws BadValue for any answer at all: a yes is none, and `false` must not be one. */
export function answeredConsent(answer: unknown): void {
  if (answer !== undefined) throw new BadValue("answer", `is ${kindOf(answer)}`);
}

/** @throws BadValue for what is neither an event nor undefined. */
export function answeredEvent(answer: unknown): CloudEvent | undefined {
  if (answer === undefined) return undefined;
  const event = eventOf(answer, "answer");
  try {
    const canonical = canonicalEvent(event);
    // What protobuf cannot carry either, such as a date beyond its own range, throws here.
    toBinary(CloudEventSchema, canonical);
    return canonical;
  } catch (error) {
    throw new BadValue("answer", `is no event: ${errorText(error)}`);
  }
}

/** A refusal with every part valid. `problems` names those that were not, by field. */
export interface CheckedRefusal {
  readonly error: MessagingError;
  readonly problems: readonly BadValue[];
}

/** What stands in the place of a code and a text that are not valid. */
export type Refusal = readonly [code: ErrorCode, text: string];

/** A refusal stays one, whatever it says: the parts of it that are not valid are left out. */
export function checkedRefusal(refusal: MessagingError, [code, text]: Refusal): CheckedRefusal {
  const problems: BadValue[] = [];
  const part = <T>(read: () => T, instead: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(error instanceof BadValue ? error : new BadValue("error", errorText(error)));
      return instead;
    }
  };
  const checked = {
    code: part(() => codeOf(refusal.code, "code"), code),
    type: part(() => codeOf(refusal.type, "type"), undefined),
    message: part(() => {
      const message = textOf(refusal.message, "message");
      if (utf8Length(message) <= MAX_ERROR_TEXT_BYTES) return message;
      problems.push(new BadValue("message", `is longer than ${MAX_ERROR_TEXT_BYTES} bytes`));
      return utf8Cut(message, MAX_ERROR_TEXT_BYTES);
    }, text),
    metadata: part(() => metadataOf(refusal.metadata), undefined),
  };
  if (problems.length === 0) return { error: refusal, problems };
  const { type, metadata } = checked;
  const error = new MessagingError(checked.code, checked.message, {
    ...(type === undefined ? {} : { type }),
    ...(metadata === undefined ? {} : { metadata }),
    cause: refusal,
  });
  return { error, problems };
}

function metadataOf(metadata: MessagingError["metadata"]): MessagingError["metadata"] {
  if (metadata === undefined) return undefined;
  const bounds = { depth: MAX_STRUCT_DEPTH, bytes: MAX_ERROR_METADATA_BYTES };
  const problem = jsonProblem(metadata, "metadata", bounds);
  if (problem === undefined) return metadata;
  const colon = problem.indexOf(": ");
  throw new BadValue(problem.slice(0, colon), problem.slice(colon + 2));
}

function codeOf(value: unknown, field: string): string {
  const code = textOf(value, field);
  if (code === "") throw new BadValue(field, "is empty");
  if (utf8Length(code) > MAX_ERROR_CODE_BYTES) {
    throw new BadValue(field, `is longer than ${MAX_ERROR_CODE_BYTES} bytes`);
  }
  return code;
}
