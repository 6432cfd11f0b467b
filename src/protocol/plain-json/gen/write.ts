// Written by scripts/plain-codecs.mjs.
/** Messages as JSON, by the names of the proto files. Undefined stands for what the runtime has to write. */
import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { CloudEventAttributeValue, CloudEvent } from "../../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Publisher, StreamPosition, Subscription, Connected, SubscribeAck, PublishAck, Pong, OutboundMessage } from "../../gen/messageloop/v1/service_pb.js";

export function cloudEventAttributeValueJson(message: CloudEventAttributeValue): JsonObject {
  const json: JsonObject = {};
  switch (message.attr.case) {
    case "ceBoolean": {
      json["ce_boolean"] = message.attr.value;
      break;
    }
    case "ceInteger": {
      json["ce_integer"] = message.attr.value;
      break;
    }
    case "ceString": {
      json["ce_string"] = message.attr.value;
      break;
    }
    case "ceBytes": {
      json["ce_bytes"] = base64Encode(message.attr.value);
      break;
    }
    case "ceUri": {
      json["ce_uri"] = message.attr.value;
      break;
    }
    case "ceUriRef": {
      json["ce_uri_ref"] = message.attr.value;
      break;
    }
    case "ceTimestamp": {
      json["ce_timestamp"] = toJson(TimestampSchema, message.attr.value);
      break;
    }
    case undefined: break;
    default:
  }
  return json;
}

export function cloudEventJson(message: CloudEvent): JsonObject | undefined {
  const json: JsonObject = {};
  if (message.id !== "") json["id"] = message.id;
  if (message.source !== "") json["source"] = message.source;
  if (message.specVersion !== "") json["spec_version"] = message.specVersion;
  if (message.type !== "") json["type"] = message.type;
  const attributes = Object.keys(message.attributes);
  if (attributes.length > 0) {
    const members: JsonObject = {};
    for (const key of attributes) {
      if (key === "__proto__") return undefined;
      const member = cloudEventAttributeValueJson(message.attributes[key] as CloudEventAttributeValue);
      members[key] = member;
    }
    json["attributes"] = members;
  }
  switch (message.data.case) {
    case "binaryData": {
      json["binary_data"] = base64Encode(message.data.value);
      break;
    }
    case "textData": {
      json["text_data"] = message.data.value;
      break;
    }
    case undefined: break;
    default: return undefined;
  }
  return json;
}

export function publisherJson(message: Publisher): JsonObject {
  const json: JsonObject = {};
  if (message.clientId !== "") json["client_id"] = message.clientId;
  if (message.userId !== "") json["user_id"] = message.userId;
  if (message.sessionId !== "") json["session_id"] = message.sessionId;
  return json;
}

export function streamPositionJson(message: StreamPosition): JsonObject {
  const json: JsonObject = {};
  if (message.epoch !== "") json["epoch"] = message.epoch;
  if (message.offset !== 0n) json["offset"] = `${message.offset}`;
  return json;
}

export function subscriptionJson(message: Subscription): JsonObject | undefined {
  const json: JsonObject = {};
  if (message.channel !== "") json["channel"] = message.channel;
  if (message.ephemeral !== false) json["ephemeral"] = message.ephemeral;
  if (message.token !== "") json["token"] = message.token;
  if (message.recover !== false) return undefined;
  if (message.since !== undefined) return undefined;
  if (message.rewind !== 0) return undefined;
  const positions = Object.keys(message.positions);
  if (positions.length > 0) return undefined;
  if (message.position !== undefined) {
    const member = streamPositionJson(message.position);
    json["position"] = member;
  }
  if (message.error !== undefined) return undefined;
  return json;
}

export function connectedJson(message: Connected): JsonObject | undefined {
  const json: JsonObject = {};
  if (message.sessionId !== "") json["session_id"] = message.sessionId;
  if (message.subscriptions.length > 0) {
    const list: JsonObject[] = [];
    for (const one of message.subscriptions) {
      const member = subscriptionJson(one);
      if (member === undefined) return undefined;
      list.push(member);
    }
    json["subscriptions"] = list;
  }
  if (message.publications.length > 0) return undefined;
  if (message.capabilities.length > 0) json["capabilities"] = message.capabilities;
  if (message.userId !== "") json["user_id"] = message.userId;
  if (message.maxMessageBytes !== 0) json["max_message_bytes"] = message.maxMessageBytes;
  if (message.pingIntervalMs !== 0) json["ping_interval_ms"] = message.pingIntervalMs;
  if (message.creditBytes !== 0n) json["credit_bytes"] = `${message.creditBytes}`;
  if (message.dedupWindowMs !== 0) json["dedup_window_ms"] = message.dedupWindowMs;
  return json;
}

export function subscribeAckJson(message: SubscribeAck): JsonObject | undefined {
  const json: JsonObject = {};
  if (message.subscriptions.length > 0) {
    const list: JsonObject[] = [];
    for (const one of message.subscriptions) {
      const member = subscriptionJson(one);
      if (member === undefined) return undefined;
      list.push(member);
    }
    json["subscriptions"] = list;
  }
  return json;
}

export function publishAckJson(message: PublishAck): JsonObject {
  const json: JsonObject = {};
  if (message.offset !== 0n) json["offset"] = `${message.offset}`;
  if (message.epoch !== "") json["epoch"] = message.epoch;
  if (message.duplicate !== false) json["duplicate"] = message.duplicate;
  return json;
}

export function pongJson(_message: Pong): JsonObject {
  const json: JsonObject = {};
  return json;
}

export function outboundMessageJson(message: OutboundMessage): JsonObject | undefined {
  const json: JsonObject = {};
  if (message.id !== "") json["id"] = message.id;
  const metadata = Object.keys(message.metadata);
  if (metadata.length > 0) json["metadata"] = message.metadata;
  if (message.time !== 0n) json["time"] = `${message.time}`;
  switch (message.envelope.case) {
    case "connected": {
      {
        const member = connectedJson(message.envelope.value);
        if (member === undefined) return undefined;
        json["connected"] = member;
      }
      break;
    }
    case "subscribeAck": {
      {
        const member = subscribeAckJson(message.envelope.value);
        if (member === undefined) return undefined;
        json["subscribe_ack"] = member;
      }
      break;
    }
    case "rpcReply": {
      {
        const member = cloudEventJson(message.envelope.value);
        if (member === undefined) return undefined;
        json["rpc_reply"] = member;
      }
      break;
    }
    case "pong": {
      {
        const member = pongJson(message.envelope.value);
        json["pong"] = member;
      }
      break;
    }
    case "publishAck": {
      {
        const member = publishAckJson(message.envelope.value);
        json["publish_ack"] = member;
      }
      break;
    }
    case undefined: break;
    default: return undefined;
  }
  return json;
}
