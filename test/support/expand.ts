/** Messages of a compact frame, by what service.proto says of it and nothing of the server or the SDK. */
import { create, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type Compact,
  type CompactMessage,
  CompactMessageSchema,
  type Message,
  MessageSchema,
  type OutboundMessage,
  OutboundMessageSchema,
  PublicationSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";

/** Messages of a frame that delivers, in either form; undefined of any other. */
export function delivered(message: OutboundMessage): readonly Message[] | undefined {
  const { envelope } = whole(message);
  return envelope.case === "publication" ? envelope.value.messages : undefined;
}

/** A frame as a client without the capability gets it. */
export function whole(message: OutboundMessage): OutboundMessage {
  const { envelope } = message;
  if (envelope.case !== "compact") return message;
  const messages = expanded(envelope.value);
  return create(OutboundMessageSchema, {
    ...message,
    envelope: { case: "publication", value: create(PublicationSchema, { messages }) },
  });
}

function expanded({ channel, epoch, offset, time, replay, contexts, messages }: Compact) {
  if (messages.length > 100) throw new Error(`${messages.length} messages`);
  return messages.map((own, index): Message => {
    const shared = contexts[own.context] ?? create(CompactMessageSchema);
    const place = epoch === "" ? 0n : offset + BigInt(index);
    const publisher = own.publisher ?? shared.publisher;
    return create(MessageSchema, {
      id: own.messageId || `${epoch}-${place}`,
      channel,
      epoch,
      offset: place,
      time: own.time || time + BigInt(own.later),
      replay,
      ...(publisher === undefined ? {} : { publisher }),
      metadata: { ...shared.metadata, ...own.metadata },
      payload: {
        id: own.id,
        source: own.source || shared.source,
        specVersion: own.specVersion || shared.specVersion,
        type: own.type || shared.type,
        attributes: { ...shared.attributes, ...own.attributes },
        data: dataOf(own),
      },
    });
  });
}

/** What stands in a frame as JSON is a text again. */
function dataOf({ data }: CompactMessage) {
  if (data.case !== "jsonData") return data;
  const value = JSON.stringify(toJson(ValueSchema, data.value));
  return { case: "textData", value } as const;
}
