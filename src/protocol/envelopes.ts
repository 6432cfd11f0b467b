/** Builders of outbound messages. A reply echoes the request's id and metadata. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
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
  return create(OutboundMessageSchema, {
    id: request.id,
    metadata: request.metadata,
    time: BigInt(time),
    envelope,
  });
}

/** A message nobody asked for; `id` is a fresh random UUID. */
export function unsolicited(id: string, time: number, envelope: OutboundEnvelope): OutboundMessage {
  return create(OutboundMessageSchema, { id, time: BigInt(time), envelope });
}
