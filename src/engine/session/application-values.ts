/**
 * Values that the application's own code hands over: types do not hold at run time, so every field is
 * looked at where it comes in, before anything is encoded from it.
 */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type EntryBody,
  EntryBodySchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { jsonProblem } from "../../protocol/json-value.ts";
import { MAX_STRUCT_DEPTH } from "../../protocol/limits.ts";
import { eventBytes } from "../../protocol/plain-protobuf/event.ts";

/** A field that is not what it should be. `field` is the whole value's name where all of it is meant. */
export class BadValue extends Error {
  override readonly name = "BadValue";
  readonly field: string;
  readonly problem: string;

  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
    this.problem = problem;
  }
}

/**
 * An event with every field of its type.
 *
 * @param whole what it is called where it is none at all
 * @throws BadValue names the first field that is not
 */
export function eventOf(value: unknown, whole: string): CloudEvent {
  const event = objectOf(value, whole);
  for (const name of ["id", "source", "specVersion", "type"]) textOf(event[name], name);
  for (const [name, attribute] of Object.entries(objectOf(event["attributes"], "attributes"))) {
    const field = `attributes.${name.slice(0, 64)}`;
    checkAttribute(objectOf(objectOf(attribute, field)["attr"], field), field);
  }
  const data = objectOf(event["data"], "data");
  if (data["case"] === "binaryData") checkBytes(data["value"], "data");
  else if (data["case"] === "textData") textOf(data["value"], "data");
  else if (data["case"] === "protoData") {
    const any = objectOf(data["value"], "data");
    textOf(any["typeUrl"], "data.typeUrl");
    checkBytes(any["value"], "data.value");
  } else if (data["case"] !== undefined) throw new BadValue("data", "is of no kind of data");
  return value as CloudEvent;
}

/** The same for callers that get an answer. @throws MessagingError BAD_REQUEST */
export function applicationEvent(value: unknown): CloudEvent {
  try {
    return eventOf(value, "event");
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    throw new MessagingError("BAD_REQUEST", error.message);
  }
}

export interface TransmitOptions {
  /** Goes beside the event; extended clients receive it. Default none. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Bytes that the event may have, encoded; a longer one is TOO_LARGE. Default: any number. */
  readonly maxEventBytes?: number;
}

export interface SessionMessageOptions extends TransmitOptions {
  /** Id of the message. Default a random one. */
  readonly id?: string;
}

export interface PublishOptions extends TransmitOptions {
  /**
   * The publisher, as far as repeated events go: an event with source and id that this principal has
   * published to the channel before is not published again. Default: every call is one of its own.
   */
  readonly principal?: string;
}

/** An event that has passed the door, with what goes beside it. @throws MessagingError BAD_REQUEST, TOO_LARGE */
export function bodyOf(
  event: CloudEvent,
  { metadata = {}, maxEventBytes = Number.POSITIVE_INFINITY }: TransmitOptions,
): EntryBody {
  checkMetadata(metadata);
  const bytes = eventBytes(event);
  if (bytes.length > maxEventBytes) {
    throw new MessagingError("TOO_LARGE", `the event is longer than ${maxEventBytes} bytes`);
  }
  return create(EntryBodySchema, { event: bytes, metadata: { ...metadata } });
}

/** @throws MessagingError BAD_REQUEST for metadata that is not text under names */
export function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries<unknown>(metadata)) {
    if (typeof value !== "string") {
      throw new MessagingError("BAD_REQUEST", `metadata is ${kindOf(value)} and not text`);
    }
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw new MessagingError("BAD_REQUEST", "metadata is not valid Unicode");
    }
  }
}

/**
 * Metadata of a client's error, which is sent to others: what decoders of other languages do not read, or
 * JSON has no form for, goes no further.
 *
 * @throws MessagingError BAD_REQUEST
 */
export function checkStruct(metadata: JsonObject | undefined): void {
  if (metadata === undefined) return;
  const bounds = { depth: MAX_STRUCT_DEPTH, bytes: Number.POSITIVE_INFINITY };
  const problem = jsonProblem(metadata, "metadata", bounds);
  if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem.slice(0, 255));
}

/**
 * A number that the application names.
 *
 * @param least the smallest that it may be
 * @throws MessagingError BAD_REQUEST for what is no whole number from there to 2^53 - 1
 */
export function checkCount(value: unknown, name: string, least = 0): void {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return;
  throw new MessagingError("BAD_REQUEST", `${name} is no whole number of at least ${least}`);
}

/** @throws BadValue */
export function objectOf(value: unknown, field: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw new BadValue(field, `is ${kindOf(value)}`);
}

/** @throws BadValue */
export function textOf(value: unknown, field: string): string {
  if (typeof value !== "string") throw new BadValue(field, `is ${kindOf(value)}`);
  if (!value.isWellFormed()) throw new BadValue(field, "is not valid Unicode");
  return value;
}

/** The kind of a value, for the log; the value itself may be a secret. */
export function kindOf(value: unknown): string {
  return value === null ? "null" : value === undefined ? "missing" : `a ${typeof value}`;
}

function checkBytes(value: unknown, field: string): void {
  if (!(value instanceof Uint8Array)) throw new BadValue(field, `is ${kindOf(value)}`);
}

function checkAttribute({ case: kind, value }: Record<string, unknown>, field: string): void {
  switch (kind) {
    case "ceBoolean":
      if (typeof value !== "boolean") throw new BadValue(field, `is ${kindOf(value)}`);
      return;
    case "ceInteger":
      if (typeof value !== "number" || (value | 0) !== value) {
        throw new BadValue(field, "is no whole number of 32 bits");
      }
      return;
    case "ceString":
    case "ceUri":
    case "ceUriRef":
      textOf(value, field);
      return;
    case "ceBytes":
      checkBytes(value, field);
      return;
    case "ceTimestamp": {
      const { seconds, nanos } = objectOf(value, field);
      if (typeof seconds !== "bigint") throw new BadValue(field, `is ${kindOf(seconds)}`);
      if (!Number.isInteger(nanos)) throw new BadValue(field, "has no whole number of nanos");
      return;
    }
    default:
      throw new BadValue(field, "has no value");
  }
}
