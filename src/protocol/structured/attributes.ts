/** Attributes of an event as they come in: which there must be, and of which type each is. */
import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { attribute } from "../cloudevents.ts";
import { MessagingError } from "../errors.ts";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventSchema,
} from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { parseTimestamp } from "../timestamps.ts";

/** A value in one of the types that an attribute may have in both modes. */
export type AttributeValue = string | number | boolean;
export type Data = CloudEvent["data"];

/** Those that are fields of our events, and the only ones that there must be. */
const REQUIRED = ["id", "source", "type", "specversion"] as const;
/** Those of the specification that are texts, or are written as texts. */
const TEXTS: ReadonlySet<string> = new Set([
  ...REQUIRED,
  "datacontenttype",
  "dataschema",
  "subject",
  "time",
]);
const NAME = /^[a-z0-9]+$/;
/** It would be taken for the data wherever an event is written as JSON. */
const RESERVED = "data";

/**
 * An event of the attributes and the data that were sent, with nothing made up and nothing left out.
 *
 * @throws MessagingError BAD_REQUEST for an attribute that is missing, has no right name or is not of its type
 */
export function eventOf(attributes: ReadonlyMap<string, AttributeValue>, data: Data): CloudEvent {
  const [id, source, type, specVersion] = REQUIRED.map((name) => required(attributes, name));
  if (specVersion !== "1.0") {
    throw bad(`specversion is ${shown(specVersion ?? "")}, and only 1.0 is taken`);
  }
  const others: Record<string, CloudEventAttributeValue> = {};
  for (const [name, value] of attributes) {
    if (!NAME.test(name) || name === RESERVED) {
      throw bad(`${shown(name)} cannot name an attribute: names are of a to z and 0 to 9`);
    }
    if (!(REQUIRED as readonly string[]).includes(name)) others[name] = attributeOf(name, value);
  }
  return create(CloudEventSchema, {
    id: id ?? "",
    source: source ?? "",
    type: type ?? "",
    specVersion,
    attributes: others,
    data,
  });
}

function required(attributes: ReadonlyMap<string, AttributeValue>, name: string): string {
  const value = attributes.get(name);
  if (value === undefined || value === "") throw bad(`the attribute ${name} is missing`);
  if (typeof value !== "string") throw bad(`the attribute ${name} is no text`);
  return value;
}

function attributeOf(name: string, value: AttributeValue): CloudEventAttributeValue {
  if (typeof value === "boolean" && !TEXTS.has(name))
    return attribute({ case: "ceBoolean", value });
  if (typeof value === "number" && !TEXTS.has(name)) {
    if ((value | 0) !== value) throw bad(`the attribute ${name} is no whole number of 32 bits`);
    // JSON has a zero with a sign, and integers have not.
    return attribute({ case: "ceInteger", value: value | 0 });
  }
  if (typeof value !== "string") throw bad(`the attribute ${name} is no text`);
  if (name === "time") return timeOf(value);
  return attribute({ case: name === "dataschema" ? "ceUri" : "ceString", value });
}

function timeOf(text: string): CloudEventAttributeValue {
  const instant = parseTimestamp(text);
  if (instant === undefined) {
    throw bad(`time is ${shown(text)}, which is no time of RFC 3339 with at most nanoseconds`);
  }
  return attribute({ case: "ceTimestamp", value: create(TimestampSchema, instant) });
}

/** A refusal of what is no event. The text goes to the client. */
export function bad(message: string): MessagingError {
  return new MessagingError("BAD_REQUEST", message);
}

/** A part of what a client sent, short enough for an answer. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
