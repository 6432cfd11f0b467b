// Written by scripts/plain-codecs.mjs.
/** Messages out of their JSON. Undefined stands for what the runtime has to read: what is seldom, and what is wrong. */
import type { JsonValue } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { isBase64, isObject } from "../../json-strict.ts";
import { isText, isTextList, isTexts, isUint32, isUint64 } from "../values.ts";
import { blankCloudEventAttributeValue, blankCloudEvent, blankStreamPosition, blankSubscription, blankConnect, blankSubscribe, blankInboundMessage } from "./blank.ts";
import type { CloudEventAttributeValue, CloudEvent } from "../../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { StreamPosition, Subscription, Connect, Subscribe, InboundMessage } from "../../gen/messageloop/v1/service_pb.js";

export function readCloudEventAttributeValue(json: JsonValue | undefined): CloudEventAttributeValue | undefined {
  if (!isObject(json)) return undefined;
  const message = blankCloudEventAttributeValue();
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "ce_string":
      case "ceString": {
        if (message.attr.case !== undefined) return undefined;
        if (!isText(value)) return undefined;
        message.attr = { case: "ceString", value: value };
        break;
      }
      case "ce_uri":
      case "ceUri": {
        if (message.attr.case !== undefined) return undefined;
        if (!isText(value)) return undefined;
        message.attr = { case: "ceUri", value: value };
        break;
      }
      case "ce_uri_ref":
      case "ceUriRef": {
        if (message.attr.case !== undefined) return undefined;
        if (!isText(value)) return undefined;
        message.attr = { case: "ceUriRef", value: value };
        break;
      }
      default: return undefined;
    }
  }
  if (message.attr.case === undefined) return undefined;
  return message;
}

export function readCloudEvent(json: JsonValue | undefined): CloudEvent | undefined {
  if (!isObject(json)) return undefined;
  const message = blankCloudEvent();
  let specVersion = false;
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "id": {
        if (!isText(value)) return undefined;
        message.id = value;
        break;
      }
      case "source": {
        if (!isText(value)) return undefined;
        message.source = value;
        break;
      }
      case "spec_version":
      case "specVersion": {
        if (specVersion) return undefined;
        specVersion = true;
        if (!isText(value)) return undefined;
        message.specVersion = value;
        break;
      }
      case "type": {
        if (!isText(value)) return undefined;
        message.type = value;
        break;
      }
      case "attributes": {
        if (!isObject(value)) return undefined;
        for (const key of Object.keys(value)) {
          const member = readCloudEventAttributeValue(value[key]);
          if (member === undefined || key === "__proto__" || !isText(key)) return undefined;
          message.attributes[key] = member;
        }
        break;
      }
      case "binary_data":
      case "binaryData": {
        if (message.data.case !== undefined) return undefined;
        if (!isText(value) || !isBase64(value)) return undefined;
        message.data = { case: "binaryData", value: base64Decode(value) };
        break;
      }
      case "text_data":
      case "textData": {
        if (message.data.case !== undefined) return undefined;
        if (!isText(value)) return undefined;
        message.data = { case: "textData", value: value };
        break;
      }
      default: return undefined;
    }
  }
  return message;
}

export function readStreamPosition(json: JsonValue | undefined): StreamPosition | undefined {
  if (!isObject(json)) return undefined;
  const message = blankStreamPosition();
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "epoch": {
        if (!isText(value)) return undefined;
        message.epoch = value;
        break;
      }
      case "offset": {
        if (!isUint64(value)) return undefined;
        message.offset = BigInt(value);
        break;
      }
      default: return undefined;
    }
  }
  return message;
}

export function readSubscription(json: JsonValue | undefined): Subscription | undefined {
  if (!isObject(json)) return undefined;
  const message = blankSubscription();
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "channel": {
        if (!isText(value)) return undefined;
        message.channel = value;
        break;
      }
      case "ephemeral": {
        if (typeof value !== "boolean") return undefined;
        message.ephemeral = value;
        break;
      }
      case "token": {
        if (!isText(value)) return undefined;
        message.token = value;
        break;
      }
      case "recover": {
        if (typeof value !== "boolean") return undefined;
        message.recover = value;
        break;
      }
      case "since": {
        const member = readStreamPosition(value);
        if (member === undefined) return undefined;
        message.since = member;
        break;
      }
      case "rewind": {
        if (!isUint32(value)) return undefined;
        message.rewind = value;
        break;
      }
      default: return undefined;
    }
  }
  return message;
}

export function readConnect(json: JsonValue | undefined): Connect | undefined {
  if (!isObject(json)) return undefined;
  const message = blankConnect();
  let maxFrameBytes = false;
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "client_id": {
        if (!isText(value)) return undefined;
        message.clientId = value;
        break;
      }
      case "client_type": {
        if (!isText(value)) return undefined;
        message.clientType = value;
        break;
      }
      case "token": {
        if (!isText(value)) return undefined;
        message.token = value;
        break;
      }
      case "version": {
        if (!isText(value)) return undefined;
        message.version = value;
        break;
      }
      case "subscriptions": {
        if (!Array.isArray(value)) return undefined;
        for (const one of value) {
          const member = readSubscription(one);
          if (member === undefined) return undefined;
          message.subscriptions.push(member);
        }
        break;
      }
      case "capabilities": {
        if (!isTextList(value)) return undefined;
        message.capabilities = value;
        break;
      }
      case "max_frame_bytes":
      case "maxFrameBytes": {
        if (maxFrameBytes) return undefined;
        maxFrameBytes = true;
        if (!isUint32(value)) return undefined;
        message.maxFrameBytes = value;
        break;
      }
      default: return undefined;
    }
  }
  return message;
}

export function readSubscribe(json: JsonValue | undefined): Subscribe | undefined {
  if (!isObject(json)) return undefined;
  const message = blankSubscribe();
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "subscriptions": {
        if (!Array.isArray(value)) return undefined;
        for (const one of value) {
          const member = readSubscription(one);
          if (member === undefined) return undefined;
          message.subscriptions.push(member);
        }
        break;
      }
      default: return undefined;
    }
  }
  return message;
}

export function readInboundMessage(json: JsonValue | undefined): InboundMessage | undefined {
  if (!isObject(json)) return undefined;
  const message = blankInboundMessage();
  for (const name of Object.keys(json)) {
    const value = json[name];
    switch (name) {
      case "id": {
        if (!isText(value)) return undefined;
        message.id = value;
        break;
      }
      case "channel": {
        if (!isText(value)) return undefined;
        message.channel = value;
        break;
      }
      case "method": {
        if (!isText(value)) return undefined;
        message.method = value;
        break;
      }
      case "metadata": {
        if (!isTexts(value)) return undefined;
        message.metadata = value;
        break;
      }
      case "time": {
        if (!isUint64(value)) return undefined;
        message.time = BigInt(value);
        break;
      }
      case "connect": {
        if (message.envelope.case !== undefined) return undefined;
        const member = readConnect(value);
        if (member === undefined) return undefined;
        message.envelope = { case: "connect", value: member };
        break;
      }
      case "subscribe": {
        if (message.envelope.case !== undefined) return undefined;
        const member = readSubscribe(value);
        if (member === undefined) return undefined;
        message.envelope = { case: "subscribe", value: member };
        break;
      }
      case "rpc_request": {
        if (message.envelope.case !== undefined) return undefined;
        const member = readCloudEvent(value);
        if (member === undefined) return undefined;
        message.envelope = { case: "rpcRequest", value: member };
        break;
      }
      case "publish": {
        if (message.envelope.case !== undefined) return undefined;
        const member = readCloudEvent(value);
        if (member === undefined) return undefined;
        message.envelope = { case: "publish", value: member };
        break;
      }
      case "again": {
        if (typeof value !== "boolean") return undefined;
        message.again = value;
        break;
      }
      default: return undefined;
    }
  }
  if (message.envelope.case === undefined) return undefined;
  return message;
}
