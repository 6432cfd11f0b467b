/**
 * What channels and gateways send each other most, read by hand: the runtime walks over a schema for each of the
 * entries. What is seldom is left to it, so that both say the same of every message.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import {
  type DeliverRequest,
  DeliverRequestSchema,
  type Entry,
  type PublishItem,
  type PublishRequest,
  PublishRequestSchema,
  type PublishResponse,
  PublishResponseSchema,
  type PublishResult,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { plainBody } from "../../protocol/plain-protobuf/entry.ts";
import { nextTag, tag } from "../../protocol/plain-protobuf/event.ts";
import { readAnswer } from "./answers.ts";

const DELIVERY = {
  channel: tag(1),
  registration: tag(2),
  epoch: tag(3),
  prev: (4 << 3) | WireType.Varint,
  entry: tag(5),
  undeliveredTime: (8 << 3) | WireType.Varint,
};
const ENTRY = {
  offset: (1 << 3) | WireType.Varint,
  time: (2 << 3) | WireType.Varint,
  body: tag(3),
};
const PUBLISHES = { item: tag(1), region: tag(2), registration: tag(3) };
const PUBLISHED = { epoch: tag(1), result: tag(2), delivery: tag(3) };
const RESULT = {
  offset: (1 << 3) | WireType.Varint,
  duplicate: (2 << 3) | WireType.Varint,
};
const ITEM = { key: tag(1), body: tag(2), transient: (3 << 3) | WireType.Varint };

/**
 * Reads a DeliverRequest.
 *
 * @throws Error for what is none
 */
export function readDelivery(bytes: Uint8Array): DeliverRequest {
  return whole(bytes, plainDelivery) ?? fromBinary(DeliverRequestSchema, bytes);
}

/**
 * Reads a PublishRequest.
 *
 * @throws Error for what is none
 */
export function readPublishes(bytes: Uint8Array): PublishRequest {
  return whole(bytes, plainPublishes) ?? fromBinary(PublishRequestSchema, bytes);
}

/**
 * Reads a PublishResponse.
 *
 * @throws MessagingError INTERNAL_ERROR where it cannot be read
 */
export function readPublished(bytes: Uint8Array): PublishResponse {
  return whole(bytes, plainPublished) ?? readAnswer(PublishResponseSchema, bytes);
}

/** What a reader finds in all of the bytes; undefined where it leaves them to the runtime. */
function whole<T>(
  bytes: Uint8Array,
  read: (reader: BinaryReader, end: number) => T | undefined,
): T | undefined {
  try {
    return read(new BinaryReader(bytes), bytes.length);
  } catch {
    return undefined;
  }
}

function plainDelivery(reader: BinaryReader, end: number): DeliverRequest | undefined {
  const request: DeliverRequest = {
    $typeName: "messageloop.internal.v1.DeliverRequest",
    channel: "",
    registration: "",
    epoch: "",
    prev: 0n,
    entries: [],
    presence: [],
    presenceLost: false,
    undeliveredTime: 0n,
    transients: [],
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case DELIVERY.channel:
        request.channel = reader.string(true);
        break;
      case DELIVERY.registration:
        request.registration = reader.string(true);
        break;
      case DELIVERY.epoch:
        request.epoch = reader.string(true);
        break;
      case DELIVERY.prev:
        request.prev = reader.uint64() as bigint;
        break;
      case DELIVERY.entry: {
        const entry = plainEntry(reader, reader.uint32() + reader.pos);
        if (entry === undefined) return undefined;
        request.entries.push(entry);
        break;
      }
      case DELIVERY.undeliveredTime:
        request.undeliveredTime = reader.uint64() as bigint;
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? request : undefined;
}

function plainEntry(reader: BinaryReader, end: number): Entry | undefined {
  const entry: Entry = { $typeName: "messageloop.internal.v1.Entry", offset: 0n, time: 0n };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case ENTRY.offset:
        entry.offset = reader.uint64() as bigint;
        break;
      case ENTRY.time:
        entry.time = reader.uint64() as bigint;
        break;
      case ENTRY.body: {
        // The runtime makes one of two.
        if (entry.body !== undefined) return undefined;
        const body = plainBody(reader, reader.uint32() + reader.pos);
        if (body === undefined) return undefined;
        entry.body = body;
        break;
      }
      default:
        return undefined;
    }
  }
  return reader.pos === end ? entry : undefined;
}

function plainPublishes(reader: BinaryReader, end: number): PublishRequest | undefined {
  const request: PublishRequest = {
    $typeName: "messageloop.internal.v1.PublishRequest",
    items: [],
    region: "",
    registration: "",
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case PUBLISHES.item: {
        const item = plainItem(reader, reader.uint32() + reader.pos);
        if (item === undefined) return undefined;
        request.items.push(item);
        break;
      }
      case PUBLISHES.region:
        request.region = reader.string(true);
        break;
      case PUBLISHES.registration:
        request.registration = reader.string(true);
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? request : undefined;
}

function plainItem(reader: BinaryReader, end: number): PublishItem | undefined {
  const item: PublishItem = {
    $typeName: "messageloop.internal.v1.PublishItem",
    key: "",
    body: new Uint8Array(),
    transient: false,
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case ITEM.key:
        item.key = reader.string(true);
        break;
      case ITEM.body:
        item.body = reader.bytes();
        break;
      case ITEM.transient:
        item.transient = reader.bool();
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? item : undefined;
}

function plainPublished(reader: BinaryReader, end: number): PublishResponse | undefined {
  const response: PublishResponse = {
    $typeName: "messageloop.internal.v1.PublishResponse",
    epoch: "",
    results: [],
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case PUBLISHED.epoch:
        response.epoch = reader.string(true);
        break;
      case PUBLISHED.result: {
        const result = plainResult(reader, reader.uint32() + reader.pos);
        if (result === undefined) return undefined;
        response.results.push(result);
        break;
      }
      case PUBLISHED.delivery: {
        // The runtime makes one of two.
        if (response.delivery !== undefined) return undefined;
        const delivery = plainDelivery(reader, reader.uint32() + reader.pos);
        if (delivery === undefined) return undefined;
        response.delivery = delivery;
        break;
      }
      default:
        return undefined;
    }
  }
  return reader.pos === end ? response : undefined;
}

function plainResult(reader: BinaryReader, end: number): PublishResult | undefined {
  const result: PublishResult = {
    $typeName: "messageloop.internal.v1.PublishResult",
    offset: 0n,
    duplicate: false,
  };
  while (reader.pos < end) {
    switch (nextTag(reader)) {
      case RESULT.offset:
        result.offset = reader.uint64() as bigint;
        break;
      case RESULT.duplicate:
        result.duplicate = reader.bool();
        break;
      default:
        return undefined;
    }
  }
  return reader.pos === end ? result : undefined;
}
