/**
 * The two encodings of the client protocol. A codec turns whole frames into messages and back; it
 * never looks into an event and never decides what a frame means.
 *
 * On a JSON connection every frame is JSON, with any opcode. On a protobuf connection binary
 * frames are protobuf and text frames are JSON. Replies use the connection's encoding.
 */
import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { MessagingError } from "./errors.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
  type OutboundMessage,
  OutboundMessageSchema,
} from "./gen/messageloop/v1/service_pb.js";
import { checkJson } from "./json-strict.ts";
import { readInboundMessage as readPlainJson } from "./plain-json/gen/read.ts";
import { plainOutbound } from "./plain-json/outbound.ts";
import { readInboundMessage as readPlainProtobuf } from "./plain-protobuf/gen/read.ts";
import { plainOutbound as plainOutboundBytes } from "./plain-protobuf/outbound.ts";
import { whole } from "./plain-protobuf/reader.ts";
import { wellShaped } from "./wire-shape.ts";

/**
 * How deep a JSON frame may nest. A level of a Struct is two levels of protobuf messages, whose
 * decoder takes 100: what JSON takes, protobuf has to be able to carry.
 */
const JSON_DEPTH = 52;

export type Encoding = "json" | "proto";

/** A whole WebSocket message: text, or bytes for protobuf. */
export type Frame = string | Uint8Array;

export interface Codec {
  readonly encoding: Encoding;
  /** The subprotocol name that asks for this encoding. */
  readonly subprotocol: string;
  encodeInbound(message: InboundMessage): Frame;
  encodeOutbound(message: OutboundMessage): Frame;
  /** @throws MessagingError BAD_REQUEST when the frame is not a message of this encoding. */
  decodeInbound(frame: Frame): InboundMessage;
  /** @throws MessagingError BAD_REQUEST when the frame is not a message of this encoding. */
  decodeOutbound(frame: Frame): OutboundMessage;
}

/** The subprotocols a server accepts, in its order of preference. */
export const SUBPROTOCOLS = ["messageloop", "messageloop+json", "messageloop+proto"] as const;

/** The codec of an encoding. */
export function codecFor(encoding: Encoding): Codec {
  return encoding === "proto" ? protobufCodec : jsonCodec;
}

/** What a handshake agreed on. */
export interface Negotiation {
  /** The name to send back, or undefined where no offer is ours. */
  readonly subprotocol: string | undefined;
  readonly encoding: Encoding;
}

/**
 * Chooses subprotocol and encoding from the offers of a handshake. The selected name decides; only
 * where nothing was selected does v0.1.1's rule apply: the first offer that speaks of an encoding.
 */
export function negotiate(offers: readonly string[]): Negotiation {
  const subprotocol = SUBPROTOCOLS.find((name) => offers.includes(name));
  if (subprotocol !== undefined) {
    return { subprotocol, encoding: subprotocol === "messageloop+proto" ? "proto" : "json" };
  }
  const hint = offers.find((offer) => offer.includes("json") || offer.includes("proto"));
  return {
    subprotocol: undefined,
    encoding: hint === undefined || hint.includes("json") ? "json" : "proto",
  };
}

const jsonCodec: Codec = {
  encoding: "json",
  subprotocol: "messageloop+json",
  encodeInbound: (message) => encodeJson(InboundMessageSchema, message),
  encodeOutbound: (message) => plainOutbound(message) ?? encodeJson(OutboundMessageSchema, message),
  decodeInbound: decodeInboundJson,
  decodeOutbound: (frame) => decodeJson(OutboundMessageSchema, frame),
};

const protobufCodec: Codec = {
  encoding: "proto",
  subprotocol: "messageloop+proto",
  encodeInbound: (message) => toBinary(InboundMessageSchema, message),
  encodeOutbound: (message) =>
    plainOutboundBytes(message) ?? toBinary(OutboundMessageSchema, message),
  decodeInbound: (frame) => {
    if (typeof frame === "string") return decodeInboundJson(frame);
    return decodeInboundProtobuf(frame);
  },
  decodeOutbound: (frame) => decodeProtobuf(OutboundMessageSchema, frame),
};

/** protobuf JSON with proto (snake_case) names, as v0.1.1's server writes it. */
export function encodeJson<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): string {
  return JSON.stringify(toJson(schema, message, { useProtoFieldName: true }));
}

/**
 * What comes in from outside is held to all that protobuf JSON says. Frames that clients send most, publishes, RPCs and
 * those that begin a session, are read without the runtime, which walks over a schema for them; it reads all others, and
 * those that hold what is seldom.
 */
function decodeInboundJson(frame: Frame): InboundMessage {
  try {
    const value = parsed(frame);
    return readPlainJson(value) ?? readJson(InboundMessageSchema, value, true);
  } catch (error) {
    throw undecodable(error);
  }
}

function decodeInboundProtobuf(frame: Uint8Array): InboundMessage {
  try {
    return whole(frame, readPlainProtobuf) ?? readProtobuf(InboundMessageSchema, frame, true);
  } catch (error) {
    throw undecodable(error);
  }
}

/**
 * A message that comes in from outside, by the rules of every frame.
 *
 * @param frame bytes, or JSON as text
 * @throws MessagingError BAD_REQUEST
 */
export function decodeStrict<Desc extends DescMessage>(
  schema: Desc,
  encoding: Encoding,
  frame: Frame,
): MessageShape<Desc> {
  if (encoding === "proto") return decodeProtobuf(schema, frame, true);
  return decodeJson(schema, frame, true);
}

/** The other way: JSON as text, protobuf as bytes. */
export function encode<Desc extends DescMessage>(
  schema: Desc,
  encoding: Encoding,
  message: MessageShape<Desc>,
): Frame {
  return encoding === "json" ? encodeJson(schema, message) : toBinary(schema, message);
}

function decodeJson<Desc extends DescMessage>(
  schema: Desc,
  frame: Frame,
  strict = false,
): MessageShape<Desc> {
  try {
    return readJson(schema, parsed(frame), strict);
  } catch (error) {
    throw undecodable(error);
  }
}

function parsed(frame: Frame): JsonValue {
  const text = typeof frame === "string" ? frame : getTextEncoding().decodeUtf8(frame, true);
  // JSON.parse before fromJson: a repeated key takes its last value instead of being refused.
  return JSON.parse(text) as JsonValue;
}

function readJson<Desc extends DescMessage>(
  schema: Desc,
  value: JsonValue,
  strict: boolean,
): MessageShape<Desc> {
  if (strict) checkJson(schema, value);
  return fromJson(schema, value, { ignoreUnknownFields: true, recursionLimit: JSON_DEPTH });
}

function decodeProtobuf<Desc extends DescMessage>(
  schema: Desc,
  frame: Frame,
  strict = false,
): MessageShape<Desc> {
  if (typeof frame === "string") return decodeJson(schema, frame);
  try {
    return readProtobuf(schema, frame, strict);
  } catch (error) {
    throw undecodable(error);
  }
}

function readProtobuf<Desc extends DescMessage>(
  schema: Desc,
  frame: Uint8Array,
  strict: boolean,
): MessageShape<Desc> {
  const bytes = strict ? wellShaped(schema, frame) : frame;
  return fromBinary(schema, bytes, { readUnknownFields: false });
}

function undecodable(cause: unknown): MessagingError {
  return new MessagingError("BAD_REQUEST", "Failed to decode message", { cause });
}
