/** Builders of outbound messages. A reply echoes the request's id and metadata. */
import { create, isMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type InboundMessage,
  type OutboundMessage,
  OutboundMessageSchema,
} from "./gen/messageloop/v1/service_pb.js";

/** The `envelope` member of an outbound message. */
export type OutboundEnvelope = NonNullable<
  Exclude<MessageInitShape<typeof OutboundMessageSchema>, OutboundMessage>["envelope"]
>;

/** A reply to a request, stamped with the server's clock in Unix milliseconds. */
export function reply(
  request: InboundMessage,
  time: number,
  envelope: OutboundEnvelope,
): OutboundMessage {
  const { id, metadata } = request;
  if (!isMessage(envelope.value)) {
    return create(OutboundMessageSchema, { id, metadata, time: BigInt(time), envelope });
  }
  return {
    $typeName: "messageloop.v1.OutboundMessage",
    id,
    metadata,
    time: BigInt(time),
    // Its value is whole already, as the event of an answer to an RPC is.
    envelope: envelope as OutboundMessage["envelope"],
  };
}

/** A message that answers no request; `id` is a fresh random UUID. */
export function unsolicited(id: string, time: number, envelope: OutboundEnvelope): OutboundMessage {
  return create(OutboundMessageSchema, { id, time: BigInt(time), envelope });
}
