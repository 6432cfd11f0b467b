/** Events as JSON documents: the structured mode, and each of a batch. */
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { isBase64 } from "../json-strict.ts";
import { membersOf } from "../json-text.ts";
import { mediaTypeOf } from "../media-type.ts";
import { type AttributeValue, bad, type Data, eventOf } from "./attributes.ts";

const JSON_TYPE = "application/json";

/**
 * An event out of its document.
 *
 * Data that is JSON arrives as it is written there. The type that is said for it decides what a text means: where
 * that is JSON, or nothing is said, the text with its quotes is the data, else what stands between them.
 *
 * @param value what JSON.parse makes of the text
 * @throws MessagingError BAD_REQUEST for what is no event
 */
export function structuredEvent(value: unknown, text: string): CloudEvent {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad("an event is an object");
  }
  const attributes = new Map<string, AttributeValue>();
  let data: unknown;
  let base64: unknown;
  for (const [name, member] of Object.entries(value as Record<string, unknown>)) {
    if (name === "data") data = member;
    // An attribute that is null is one that there is not.
    else if (member === null) continue;
    else if (name === "data_base64") base64 = member;
    else if (typeof member === "object")
      throw bad(`the attribute ${name.slice(0, 64)} is no value`);
    else attributes.set(name, member as AttributeValue);
  }
  if (base64 !== undefined) {
    if (data !== undefined) throw bad("an event has data or data_base64, and not both");
    return eventOf(attributes, bytesOf(base64));
  }
  if (data === undefined) return eventOf(attributes, { case: undefined });
  // What such a document says by saying nothing has to be said outside of it.
  const contentType = attributes.get("datacontenttype") ?? JSON_TYPE;
  attributes.set("datacontenttype", contentType);
  const isText = typeof contentType === "string" && !mediaTypeOf(contentType).json;
  const plain = isText && typeof data === "string" ? data : undefined;
  return eventOf(attributes, {
    case: "textData",
    value: plain ?? membersOf(text).get("data") ?? "",
  });
}

function bytesOf(base64: unknown): Data {
  if (typeof base64 !== "string" || !isBase64(base64)) throw bad("data_base64 is no base64");
  return { case: "binaryData", value: base64Decode(base64) };
}
