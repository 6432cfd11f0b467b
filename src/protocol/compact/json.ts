/** Compact frames as JSON. */
import type { JsonObject } from "@bufbuild/protobuf";
import { joined } from "../bytes.ts";
import { eventForJson } from "../cloudevents.ts";
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { eventJson } from "../plain-json/event.ts";
import { publisherJson } from "../plain-json/gen/write.ts";
import { eventOf } from "../plain-protobuf/event.ts";
import type { Texts } from "./contexts.ts";
import type { CompactEncoder } from "./encoder.ts";
import { remembering } from "./known.ts";
import { plainJson } from "./plain-json.ts";

const NO_DATA: CloudEvent["data"] = { case: undefined };

export const compactJson: CompactEncoder<string> = {
  context: remembering(({ origin, attributes, publisher, metadata }) => {
    const json = eventJson(eventOf(joined([origin, ...attributes])));
    if (publisher !== undefined) json["publisher"] = publisherJson(publisher);
    return textOf(json, metadata);
  }),

  message({ attributes, metadata, later, time, id }, event) {
    const whole = event();
    const plain = plainJson(whole);
    const data = plain === undefined ? whole.data : NO_DATA;
    const json = eventJson(eventForJson(ownEvent(whole.id, attributes, data)));
    if (later > 0) json["later"] = later;
    if (time > 0n) json["time"] = `${time}`;
    if (id !== "") json["message_id"] = id;
    const text = textOf(json, metadata);
    return plain === undefined ? text : withMember(text, "json_data", plain);
  },

  frame({ channel, epoch, offset, time, replay }, contexts, messages) {
    const json: JsonObject = {};
    if (channel !== "") json["channel"] = channel;
    if (epoch !== "") json["epoch"] = epoch;
    if (replay) json["replay"] = true;
    let head = withMember(JSON.stringify(json), "contexts", `[${contexts.join(",")}]`).slice(0, -1);
    // What is another one in each frame comes last, so that a client knows the beginning from the frame before.
    if (offset > 0) head += `,"offset":"${offset}"`;
    if (time > 0n) head += `,"time":"${time}"`;
    let texts = "";
    for (const { piece, context } of messages) {
      if (texts !== "") texts += ",";
      texts += context === 0 ? piece : withMember(piece, "context", `${context}`);
    }
    return `{"compact":${head},"messages":[${texts}]}}`;
  },
};

function textOf(json: JsonObject, metadata: Texts): string {
  if (Object.keys(metadata).length > 0) json["metadata"] = metadata;
  return JSON.stringify(json);
}

/** The text of an object with one member more. */
function withMember(object: string, name: string, value: string): string {
  const rest = object.slice(0, -1);
  return `${rest}${rest === "{" ? "" : ","}"${name}":${value}}`;
}

/** An event with nothing that its context has. */
function ownEvent(
  id: string,
  attributes: readonly Uint8Array[],
  data: CloudEvent["data"],
): CloudEvent {
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
