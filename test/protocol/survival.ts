/**
 * What holds for every frame, whatever it is: a decoder returns a message or says BAD_REQUEST, soon, and what it
 * returns can be written again. Needs no test runner.
 */
import { isDeepStrictEqual } from "node:util";
import { type DescMessage, equals, type MessageShape } from "@bufbuild/protobuf";
import { type Codec, codecFor, type Frame } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  InboundMessageSchema,
  OutboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_SHARED_NESTING } from "./fuzz-frames.ts";

/** A decoder that takes this long for one frame hangs; no honest machine is that slow. */
const HANG_MS = 5_000;

const json = codecFor("json");
const proto = codecFor("proto");

/** The properties of each direction. The functions return the message where there is one. */
export const survives = [
  survival(
    InboundMessageSchema,
    (codec, frame) => codec.decodeInbound(frame),
    (codec, message) => codec.encodeInbound(message),
  ),
  survival(
    OutboundMessageSchema,
    (codec, frame) => codec.decodeOutbound(frame),
    (codec, message) => codec.encodeOutbound(message),
  ),
];

/** The properties of one direction. The function returns the message where there is one. */
function survival<Desc extends DescMessage>(
  schema: Desc,
  decode: (codec: Codec, frame: Frame) => MessageShape<Desc>,
  encode: (codec: Codec, message: MessageShape<Desc>) => Frame,
): (codec: Codec, frame: Frame) => MessageShape<Desc> | undefined {
  const same = (left: MessageShape<Desc>, right: MessageShape<Desc>) => {
    if (!equals(schema, left, right) && !isDeepStrictEqual(left, right)) {
      throw new Error("a message changes when it is encoded and decoded");
    }
  };
  return (codec, frame) => {
    const message = orBadRequest(() => decode(codec, frame));
    if (message === undefined) return undefined;
    const text = codec === json || typeof frame === "string" ? textOf(frame) : undefined;

    const again = orBadRequest(() => decode(proto, encode(proto, message)));
    // JSON that nests deeper than protobuf can makes a message that only JSON can carry.
    if (again === undefined && (text === undefined || nesting(text) < MAX_SHARED_NESTING)) {
      throw new Error("what was encoded as protobuf does not decode");
    }
    // JSON can hold lone surrogates; in UTF-8 they become U+FFFD.
    if (again !== undefined && (text === undefined || hasNoSurrogate(text))) same(again, message);

    const written = orUnwritable(() => encode(json, message));
    // An Any without a type has no JSON form either, but the runtime writes it as {}.
    const untyped = eventsIn(message).some(
      ({ data }) => data.case === "protoData" && data.value.typeUrl === "",
    );
    if (written !== undefined && !untyped) same(decode(json, written), message);
    return message;
  };
}

/** The value, or undefined for BAD_REQUEST. Nothing else may be thrown, and soon. */
export function orBadRequest<T>(action: () => T): T | undefined {
  const start = performance.now();
  let value: T | undefined;
  try {
    value = action();
  } catch (error) {
    if (!(error instanceof MessagingError) || error.code !== "BAD_REQUEST") throw error;
  }
  const took = performance.now() - start;
  if (took > HANG_MS) throw new Error(`one frame took ${Math.round(took)} ms`);
  return value;
}

/**
 * The value, or undefined where JSON has no form for it: an Any of a type that nobody registered, a
 * Timestamp outside the years 1 to 9999, a number in a Struct that is not finite. The first two do
 * not get past the door: `canonicalEvent` refuses the time, `eventForJson` turns the Any into bytes.
 */
function orUnwritable<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof Error && /google\.protobuf\.(Any|Timestamp|Value)/.test(error.message)) {
      return undefined;
    }
    throw error;
  }
}

/** Every CloudEvent anywhere in a message. */
export function eventsIn(value: unknown): CloudEvent[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  if ("$typeName" in value && value.$typeName === CloudEventSchema.typeName) {
    return [value as CloudEvent];
  }
  return Object.values(value).flatMap(eventsIn);
}

/** The text that a JSON decoder took; bytes that are not UTF-8 it must not have taken. */
function textOf(frame: Frame): string {
  if (typeof frame === "string") return frame;
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(frame);
}

function hasNoSurrogate(text: string): boolean {
  return text.isWellFormed() && !/\\u[dD][89a-fA-F]/.test(text);
}

/** How deep the brackets of a text go, those inside strings included. */
function nesting(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const character of text) {
    if (character === "{" || character === "[") deepest = Math.max(deepest, ++depth);
    else if (character === "}" || character === "]") depth--;
  }
  return deepest;
}
