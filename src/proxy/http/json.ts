/** Messages as protobuf JSON, in the names of the proto files: what a backend over HTTP is sent by default. */
import {
  create,
  type DescMessage,
  isMessage,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { eventForJson } from "../../protocol/cloudevents.ts";
import { RPCRequestSchema } from "../../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { utf8Encode } from "../../protocol/utf8.ts";
import { checkStatus, checkType, type Form, messageOf, objectIn } from "./form.ts";

export const JSON_TYPE = "application/json";

/** For `POST`: the header `messageloop-hook` says which message it is. */
export const jsonForm: Form = {
  write({ input }, message) {
    return { contentType: JSON_TYPE, body: utf8Encode(JSON.stringify(jsonOf(input, message))) };
  },
  read(hook, response) {
    checkStatus(hook, response);
    checkType(response, JSON_TYPE);
    return messageOf(hook.output, objectIn(response.body).value);
  },
};

/** A message as protobuf JSON. An event whose data is a protobuf message has its bytes, which need no registry. */
export function jsonOf<I extends DescMessage>(schema: I, message: MessageShape<I>): JsonValue {
  return toJson(schema, withPlainEvent(message) as MessageShape<I>, { useProtoFieldName: true });
}

function withPlainEvent(message: MessageShape<DescMessage>): MessageShape<DescMessage> {
  if (!isMessage(message, RPCRequestSchema) || message.payload === undefined) return message;
  return create(RPCRequestSchema, { ...message, payload: eventForJson(message.payload) });
}
