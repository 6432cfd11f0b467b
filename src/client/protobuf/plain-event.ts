/** Events whose data is a message of protobuf. */
import type { WireEvent } from "../wire/frames.ts";

/** An event as JSON connections get it: with the message's bytes, and attributes that say what they are. */
export function plainEvent({ proto_data: message, ...event }: WireEvent): WireEvent {
  if (!message) return event;
  const { type_url: ce_uri = "", value: binary_data = new Uint8Array() } = message;
  const attributes = {
    ...event.attributes,
    datacontenttype: { ce_string: "application/protobuf" },
    dataschema: { ce_uri },
  };
  return { ...event, attributes, binary_data };
}
