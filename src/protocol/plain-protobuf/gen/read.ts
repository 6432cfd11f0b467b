// Written by scripts/plain-codecs.mjs.
/**
 * Messages that end at a place of the reader. Undefined, and an error, stand for what the runtime has to read: what is
 * seldom, and what is wrong.
 */
import type { BinaryReader } from "@bufbuild/protobuf/wire";
import { blankCloudEventAttributeValue, blankCloudEvent, blankStreamPosition, blankSubscription, blankConnect, blankSubscribe, blankInboundMessage, blankPublisher, blankEntryBody, blankEntry, blankDeliverRequest, blankPublishItem, blankPublishRequest, blankPublishResult, blankPublishResponse } from "../../plain-json/gen/blank.ts";
import { nextTag } from "../reader.ts";
import type { CloudEventAttributeValue, CloudEvent } from "../../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { StreamPosition, Subscription, Connect, Subscribe, InboundMessage, Publisher } from "../../gen/messageloop/v1/service_pb.js";
import type { EntryBody, Entry, DeliverRequest, PublishItem, PublishRequest, PublishResult, PublishResponse } from "../../gen/messageloop/internal/v1/internal_pb.js";

export function readCloudEventAttributeValue(reader: BinaryReader, end: number): CloudEventAttributeValue | undefined {
  const message = blankCloudEventAttributeValue();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 26: {
        const value = reader.string(true);
        message.attr = { case: "ceString", value: value };
        break;
      }
      case 42: {
        const value = reader.string(true);
        message.attr = { case: "ceUri", value: value };
        break;
      }
      case 50: {
        const value = reader.string(true);
        message.attr = { case: "ceUriRef", value: value };
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  if (message.attr.case === undefined) return undefined;
  return message;
}

export function readCloudEvent(reader: BinaryReader, end: number): CloudEvent | undefined {
  const message = blankCloudEvent();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.id = value;
        break;
      }
      case 18: {
        const value = reader.string(true);
        message.source = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.specVersion = value;
        break;
      }
      case 34: {
        const value = reader.string(true);
        message.type = value;
        break;
      }
      case 42: {
        const entryEnd = reader.uint32() + reader.pos;
        if (nextTag(reader) !== 10) return undefined;
        const name = reader.string(true);
        if (reader.pos >= entryEnd || nextTag(reader) !== 18) return undefined;
        const value = readCloudEventAttributeValue(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        if (reader.pos !== entryEnd || name === "__proto__") return undefined;
        message.attributes[name] = value;
        break;
      }
      case 50: {
        const value = reader.bytes();
        message.data = { case: "binaryData", value: value };
        break;
      }
      case 58: {
        const value = reader.string(true);
        message.data = { case: "textData", value: value };
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readStreamPosition(reader: BinaryReader, end: number): StreamPosition | undefined {
  const message = blankStreamPosition();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.epoch = value;
        break;
      }
      case 16: {
        const value = reader.uint64() as bigint;
        message.offset = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readSubscription(reader: BinaryReader, end: number): Subscription | undefined {
  const message = blankSubscription();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.channel = value;
        break;
      }
      case 16: {
        const value = reader.bool();
        message.ephemeral = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.token = value;
        break;
      }
      case 128: {
        const value = reader.bool();
        message.recover = value;
        break;
      }
      case 138: {
        if (message.since !== undefined) return undefined;
        const value = readStreamPosition(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.since = value;
        break;
      }
      case 144: {
        const value = reader.uint32();
        message.rewind = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readConnect(reader: BinaryReader, end: number): Connect | undefined {
  const message = blankConnect();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.clientId = value;
        break;
      }
      case 18: {
        const value = reader.string(true);
        message.clientType = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.token = value;
        break;
      }
      case 34: {
        const value = reader.string(true);
        message.version = value;
        break;
      }
      case 42: {
        const value = readSubscription(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.subscriptions.push(value);
        break;
      }
      case 130: {
        const value = reader.string(true);
        message.capabilities.push(value);
        break;
      }
      case 136: {
        const value = reader.uint32();
        message.maxFrameBytes = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readSubscribe(reader: BinaryReader, end: number): Subscribe | undefined {
  const message = blankSubscribe();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = readSubscription(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.subscriptions.push(value);
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readInboundMessage(reader: BinaryReader, end: number): InboundMessage | undefined {
  const message = blankInboundMessage();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.id = value;
        break;
      }
      case 18: {
        const value = reader.string(true);
        message.channel = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.method = value;
        break;
      }
      case 34: {
        const entryEnd = reader.uint32() + reader.pos;
        if (nextTag(reader) !== 10) return undefined;
        const name = reader.string(true);
        if (reader.pos >= entryEnd || nextTag(reader) !== 18) return undefined;
        const value = reader.string(true);
        if (reader.pos !== entryEnd || name === "__proto__") return undefined;
        message.metadata[name] = value;
        break;
      }
      case 40: {
        const value = reader.uint64() as bigint;
        message.time = value;
        break;
      }
      case 90: {
        if (message.envelope.case !== undefined) return undefined;
        const value = readConnect(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.envelope = { case: "connect", value: value };
        break;
      }
      case 98: {
        if (message.envelope.case !== undefined) return undefined;
        const value = readSubscribe(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.envelope = { case: "subscribe", value: value };
        break;
      }
      case 114: {
        if (message.envelope.case !== undefined) return undefined;
        const value = readCloudEvent(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.envelope = { case: "rpcRequest", value: value };
        break;
      }
      case 130: {
        if (message.envelope.case !== undefined) return undefined;
        const value = readCloudEvent(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.envelope = { case: "publish", value: value };
        break;
      }
      case 288: {
        const value = reader.bool();
        message.again = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  if (message.envelope.case === undefined) return undefined;
  return message;
}

export function readPublisher(reader: BinaryReader, end: number): Publisher | undefined {
  const message = blankPublisher();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.clientId = value;
        break;
      }
      case 18: {
        const value = reader.string(true);
        message.userId = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.sessionId = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readEntryBody(reader: BinaryReader, end: number): EntryBody | undefined {
  const message = blankEntryBody();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.bytes();
        message.event = value;
        break;
      }
      case 18: {
        if (message.publisher !== undefined) return undefined;
        const value = readPublisher(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.publisher = value;
        break;
      }
      case 26: {
        const entryEnd = reader.uint32() + reader.pos;
        if (nextTag(reader) !== 10) return undefined;
        const name = reader.string(true);
        if (reader.pos >= entryEnd || nextTag(reader) !== 18) return undefined;
        const value = reader.string(true);
        if (reader.pos !== entryEnd || name === "__proto__") return undefined;
        message.metadata[name] = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readEntry(reader: BinaryReader, end: number): Entry | undefined {
  const message = blankEntry();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 8: {
        const value = reader.uint64() as bigint;
        message.offset = value;
        break;
      }
      case 16: {
        const value = reader.uint64() as bigint;
        message.time = value;
        break;
      }
      case 26: {
        if (message.body !== undefined) return undefined;
        const value = readEntryBody(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.body = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readDeliverRequest(reader: BinaryReader, end: number): DeliverRequest | undefined {
  const message = blankDeliverRequest();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.channel = value;
        break;
      }
      case 18: {
        const value = reader.string(true);
        message.registration = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.epoch = value;
        break;
      }
      case 32: {
        const value = reader.uint64() as bigint;
        message.prev = value;
        break;
      }
      case 42: {
        const value = readEntry(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.entries.push(value);
        break;
      }
      case 64: {
        const value = reader.uint64() as bigint;
        message.undeliveredTime = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readPublishItem(reader: BinaryReader, end: number): PublishItem | undefined {
  const message = blankPublishItem();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.key = value;
        break;
      }
      case 18: {
        const value = reader.bytes();
        message.body = value;
        break;
      }
      case 24: {
        const value = reader.bool();
        message.transient = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readPublishRequest(reader: BinaryReader, end: number): PublishRequest | undefined {
  const message = blankPublishRequest();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = readPublishItem(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.items.push(value);
        break;
      }
      case 18: {
        const value = reader.string(true);
        message.region = value;
        break;
      }
      case 26: {
        const value = reader.string(true);
        message.registration = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readPublishResult(reader: BinaryReader, end: number): PublishResult | undefined {
  const message = blankPublishResult();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 8: {
        const value = reader.uint64() as bigint;
        message.offset = value;
        break;
      }
      case 16: {
        const value = reader.bool();
        message.duplicate = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}

export function readPublishResponse(reader: BinaryReader, end: number): PublishResponse | undefined {
  const message = blankPublishResponse();
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case 10: {
        const value = reader.string(true);
        message.epoch = value;
        break;
      }
      case 18: {
        const value = readPublishResult(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.results.push(value);
        break;
      }
      case 26: {
        if (message.delivery !== undefined) return undefined;
        const value = readDeliverRequest(reader, reader.uint32() + reader.pos);
        if (value === undefined) return undefined;
        message.delivery = value;
        break;
      }
      default: return undefined;
    }
  }
  if (reader.pos !== end) return undefined;
  return message;
}
