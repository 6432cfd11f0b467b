/** Compact frames as JSON. */
import type { JsonObject } from "@bufbuild/protobuf";
import { joined } from "../bytes.ts";
import { eventForJson } from "../cloudevents.ts";
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { eventJson } from "../plain-json/event.ts";
import { publisherJson } from "../plain-json/publisher.ts";
import { eventOf } from "../plain-protobuf/event.ts";
import type { Texts } from "./contexts.ts";
import type { CompactEncoder } from "./encoder.ts";

export const compactJson: CompactEncoder<string> = {
  context({ origin, attributes, publisher, metadata }) {
    const json = eventJson(eventOf(joined([origin, ...attributes]))) as JsonObject;
    if (publisher !== undefined) json["publisher"] = publisherJson(publisher);
    return textOf(json, metadata);
  },

  message({ context, attributes, publisher, metadata, later, time, id }, event) {
    const own = context === undefined ? event() : ownEvent(event(), attributes);
    const json = eventJson(eventForJson(own)) as JsonObject;
    if (publisher !== undefined) json["publisher"] = publisherJson(publisher);
    if (later > 0) json["later"] = later;
    if (time > 0n) json["time"] = `${time}`;
    if (id !== "") json["message_id"] = id;
    return textOf(json, metadata);
  },

  frame({ channel, epoch, offset, time, replay }, contexts, messages) {
    const json: JsonObject = {};
    if (channel !== "") json["channel"] = channel;
    if (epoch !== "") json["epoch"] = epoch;
    if (offset > 0) json["offset"] = `${offset}`;
    if (time > 0n) json["time"] = `${time}`;
    if (replay) json["replay"] = true;
    let head = JSON.stringify(json).slice(0, -1);
    if (head !== "{") head += ",";
    if (contexts.length > 0) head += `"contexts":[${contexts.join(",")}],`;
    let texts = "";
    for (const { piece, context } of messages) {
      if (texts !== "") texts += ",";
      texts += context === 0 ? piece : withContext(piece, context);
    }
    return `{"compact":${head}"messages":[${texts}]}}`;
  },
};

function textOf(json: JsonObject, metadata: Texts): string {
  if (Object.keys(metadata).length > 0) json["metadata"] = metadata;
  return JSON.stringify(json);
}

function withContext(piece: string, context: number): string {
  const rest = piece.slice(1);
  return `{"context":${context}${rest === "}" ? "" : ","}${rest}`;
}

/** An event with nothing that its context has. */
function ownEvent({ id, data }: CloudEvent, attributes: readonly Uint8Array[]): CloudEvent {
  return {
    $typeName: "io.cloudevents.v1.CloudEvent",
    id,
    source: "",
    specVersion: "",
    type: "",
    attributes: attributes.length === 0 ? {} : eventOf(joined(attributes)).attributes,
    data,
  };
}
