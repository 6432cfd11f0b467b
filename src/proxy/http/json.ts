/** Messages as protobuf JSON, in the names of the proto files: what a backend over HTTP is sent by default. */
import {
  type DescMessage,
  isMessage,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { eventForJson } from "../../protocol/cloudevents.ts";
import {
  type Caller,
  type RPCRequest,
  RPCRequestSchema,
} from "../../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { eventJson } from "../../protocol/plain-json/event.ts";
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
  if (isMessage(message, RPCRequestSchema)) return rpcJson(message);
  return toJson(schema, message, { useProtoFieldName: true });
}

/** What backends are asked most, without the runtime's walk over the schema: the same fields in the same order. */
function rpcJson({ id, channel, method, payload, caller, metadata }: RPCRequest): JsonValue {
  const json: JsonObject = {};
  if (id !== "") json["id"] = id;
  if (channel !== "") json["channel"] = channel;
  if (method !== "") json["method"] = method;
  if (payload !== undefined) json["payload"] = eventJson(eventForJson(payload));
  if (caller !== undefined) json["caller"] = callerJson(caller);
  if (Object.keys(metadata).length > 0) json["metadata"] = metadata;
  return json;
}

function callerJson({ sessionId, userId, clientId, clientType }: Caller): JsonValue {
  const json: JsonObject = {};
  if (sessionId !== "") json["session_id"] = sessionId;
  if (userId !== "") json["user_id"] = userId;
  if (clientId !== "") json["client_id"] = clientId;
  if (clientType !== "") json["client_type"] = clientType;
  return json;
}
