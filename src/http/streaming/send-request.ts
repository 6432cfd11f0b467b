/**
 * A SendRequest whose messages are still as they came, so that each of them is read by the rules of every other frame,
 * and refused alone.
 */
import { fromBinary, fromJson, type JsonValue } from "@bufbuild/protobuf";
import type { SendCall } from "../../engine/session/stream/sends.ts";
import type { Encoding, Frame } from "../../protocol/codec.ts";
import { MessagingError } from "../../protocol/errors.ts";
import { RawSendSchema } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { SendRequestSchema } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { checkJson } from "../../protocol/json-strict.ts";
import { elementsOf, membersOf } from "../../protocol/json-text.ts";
import { MAX_SEND_MESSAGES } from "../../protocol/limits.ts";
import { wellShaped } from "../../protocol/wire-shape.ts";

/** All of a call but the proof that its caller may make it. */
export type SendRequest = Omit<SendCall, "secret">;

/**
 * @throws MessagingError BAD_REQUEST for what is no SendRequest, and for one with too many messages
 */
export function sendRequestOf(request: Frame, encoding: Encoding): SendRequest {
  const read = decoded(request);
  if (read.frames.length > MAX_SEND_MESSAGES) {
    const message = `a Send holds at most ${MAX_SEND_MESSAGES} messages`;
    throw new MessagingError("BAD_REQUEST", message);
  }
  return { ...read, encoding };
}

function decoded(request: Frame): Omit<SendRequest, "encoding"> {
  try {
    return typeof request === "string" ? fromText(request) : fromBytes(request);
  } catch (cause) {
    throw new MessagingError("BAD_REQUEST", "Failed to decode message", { cause });
  }
}

function fromBytes(bytes: Uint8Array): Omit<SendRequest, "encoding"> {
  const whole = wellShaped(RawSendSchema, bytes);
  const { sessionId, seq, messages } = fromBinary(RawSendSchema, whole);
  return { sessionId, seq, frames: messages };
}

function fromText(text: string): Omit<SendRequest, "encoding"> {
  const value = JSON.parse(text) as JsonValue;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error("a request is an object");
  }
  const { messages = null, ...rest } = value;
  if (messages !== null && !Array.isArray(messages)) throw new Error("messages are a list");
  checkJson(SendRequestSchema, rest);
  const { sessionId, seq } = fromJson(SendRequestSchema, rest, { ignoreUnknownFields: true });
  const list = messages === null ? undefined : membersOf(text).get("messages");
  return { sessionId, seq, frames: list === undefined ? [] : elementsOf(list) };
}
