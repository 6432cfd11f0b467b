/**
 * What the application's backends may answer. Types do not hold at run time, so every value is looked at
 * where it comes in: what is not valid names its field, and never gets further.
 */
import { toBinary } from "@bufbuild/protobuf";
import { patternProblem } from "../../channels/patterns.ts";
import { canonicalEvent } from "../../protocol/cloudevents.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { jsonProblem } from "../../protocol/json-value.ts";
import type { ErrorCode } from "../../protocol/lean/error-kinds.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import {
  MAX_ERROR_BYTES,
  MAX_ERROR_CODE_BYTES,
  MAX_ERROR_TEXT_BYTES,
  MAX_GRANTS,
  MAX_IDENTITY_CHANNELS,
  MAX_STRUCT_DEPTH,
  MAX_TOKEN_ID_BYTES,
  MAX_USER_ID_BYTES,
} from "../../protocol/limits.ts";
import { utf8Cut } from "../../protocol/utf8.ts";
import { errorText } from "../error-text.ts";
import { ACTIONS, type Action, type Grant } from "../ports/access.ts";
import { SubscriptionConsent } from "../ports/backends.ts";
import { type Identity, NOBODY } from "../ports/identity.ts";
import { BadValue, eventOf, kindOf, objectOf, textOf } from "./application-values.ts";

/**
 * Whom an authenticator has named. What of it is left out, or undefined, is not in the result either.
 *
 * @throws BadValue where it names no user, or says of one what is not valid
 */
export function answeredIdentity(answer: unknown): Identity {
  // Our own authenticators let clients without a token in by it, and nothing else is it by accident.
  if (answer === NOBODY) return NOBODY;
  const named = objectOf(answer, "answer");
  const { userId, tokenId, issuedAt, expiresAt, clientVouched, channels, grants } = named;
  return {
    userId: nameOf(userId, "userId", MAX_USER_ID_BYTES),
    ...(tokenId === undefined ? {} : { tokenId: nameOf(tokenId, "tokenId", MAX_TOKEN_ID_BYTES) }),
    ...(issuedAt === undefined ? {} : { issuedAt: timeOf(issuedAt, "issuedAt", 0) }),
    ...(expiresAt === undefined ? {} : { expiresAt: timeOf(expiresAt, "expiresAt", 1) }),
    ...(clientVouched === undefined ? {} : { clientVouched: switchOf(clientVouched) }),
    ...(channels === undefined ? {} : { channels: channelsOf(channels) }),
    ...(grants === undefined ? {} : { grants: grantsOf(grants) }),
  };
}

/** A text that names somebody or something. */
function nameOf(value: unknown, field: string, maxBytes: number): string {
  const name = textOf(value, field);
  if (name === "") throw new BadValue(field, "is empty");
  if (utf8Length(name) > maxBytes) throw new BadValue(field, `is longer than ${maxBytes} bytes`);
  return name;
}

function timeOf(value: unknown, field: string, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new BadValue(field, "is no time in Unix milliseconds");
}

function switchOf(value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new BadValue("clientVouched", `is ${kindOf(value)}`);
}

function channelsOf(value: unknown): string[] {
  const channels = listOf(value, "channels", MAX_IDENTITY_CHANNELS);
  return [...new Set(channels.map((channel) => patternOf(channel, "channels")))];
}

function grantsOf(value: unknown): Grant[] {
  return listOf(value, "grants", MAX_GRANTS).map((grant) => {
    const { pattern, actions } = objectOf(grant, "grants");
    return {
      pattern: patternOf(pattern, "grants.pattern"),
      actions: listOf(actions, "grants.actions", ACTIONS.length).map(actionOf),
    };
  });
}

function actionOf(value: unknown): Action {
  const action = ACTIONS.find((one) => one === value);
  if (action === undefined)
    throw new BadValue("grants.actions", `is none of ${ACTIONS.join(", ")}`);
  return action;
}

function patternOf(value: unknown, field: string): string {
  const pattern = textOf(value, field);
  const problem = patternProblem(pattern);
  if (problem !== undefined) throw new BadValue(field, `is no channel or pattern: ${problem}`);
  return pattern;
}

function listOf(value: unknown, field: string, most: number): unknown[] {
  if (!Array.isArray(value)) throw new BadValue(field, `is ${kindOf(value)} and no list`);
  if (value.length > most) throw new BadValue(field, `has more than ${most} entries`);
  return value;
}

/**
 * What bounds a subscription that was granted; undefined where nothing does.
 *
 * @throws BadValue for any answer of a backend at all: a yes is none, and `false` must not be one.
 */
export function answeredConsent(answer: unknown): SubscriptionConsent | undefined {
  if (answer instanceof SubscriptionConsent) return answer;
  if (answer !== undefined) throw new BadValue("answer", `is ${kindOf(answer)}`);
  return undefined;
}

/** @throws BadValue for what is neither an event nor undefined. */
export function answeredEvent(answer: unknown): CloudEvent | undefined {
  if (answer === undefined) return undefined;
  const event = eventOf(answer, "answer");
  try {
    const canonical = canonicalEvent(event);
    // All else was looked at, one value after the other. What a message holds beside its fields throws here.
    if (holdsMessage(canonical)) toBinary(CloudEventSchema, canonical);
    return canonical;
  } catch (error) {
    throw new BadValue("answer", `is no event: ${errorText(error)}`);
  }
}

/** Whether a part of an event is a message that the application has made. */
function holdsMessage({ attributes, data }: CloudEvent): boolean {
  if (data.case === "protoData") return true;
  return Object.values(attributes).some(({ attr }) => attr.case === "ceTimestamp");
}

/** A refusal with every part valid. `problems` names those that were not, by field. */
export interface CheckedRefusal {
  readonly error: MessagingError;
  readonly problems: readonly BadValue[];
}

/** What stands in the place of a code and a text that are not valid. */
export type Refusal = readonly [code: ErrorCode, text: string];

/**
 * A refusal stays one, whatever it says: the parts of it that are not valid are left out.
 *
 * @param counts whether it counts towards 3509. Default: what the table says of its code.
 */
export function checkedRefusal(
  refusal: MessagingError,
  [code, text]: Refusal,
  counts?: boolean,
): CheckedRefusal {
  const problems: BadValue[] = [];
  const part = <T>(read: () => T, instead: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(error instanceof BadValue ? error : new BadValue("error", errorText(error)));
      return instead;
    }
  };
  const said = {
    code: part(() => codeOf(refusal.code, "code"), code),
    type: part(() => codeOf(refusal.type, "type"), undefined),
    message: part(() => {
      const message = textOf(refusal.message, "message");
      if (utf8Length(message) <= MAX_ERROR_TEXT_BYTES) return message;
      problems.push(new BadValue("message", `is longer than ${MAX_ERROR_TEXT_BYTES} bytes`));
      return utf8Cut(message, MAX_ERROR_TEXT_BYTES);
    }, text),
  };
  const { type } = said;
  const left = MAX_ERROR_BYTES - utf8Length(`${said.code}${type ?? ""}${said.message}`);
  const metadata = part(() => metadataOf(refusal.metadata, left), undefined);
  const error = new MessagingError(said.code, said.message, {
    ...(type === undefined ? {} : { type }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(counts === undefined ? {} : { counts }),
    cause: refusal,
  });
  return { error, problems };
}

/** @param maxBytes of its names and texts */
function metadataOf(
  metadata: MessagingError["metadata"],
  maxBytes: number,
): MessagingError["metadata"] {
  if (metadata === undefined) return undefined;
  const bounds = { depth: MAX_STRUCT_DEPTH, bytes: maxBytes };
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
