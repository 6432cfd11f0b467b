/** Frames as JSON: `JSON.parse`, and then what JSON has no form for. */
import { MessagingError } from "../../protocol/errors.ts";
import { expanded } from "./compact.ts";
import type { Codec, Frame, OutboundFrame, ReceivedFrame } from "./frames.ts";
import { type Bag, bytesAsText, exact, mendEvent } from "./values.ts";

/** The 64-bit integers, which come as text. */
const INTEGERS = /^(?:offset|time|number|credit_bytes|expires_at)$/;

export const json: Codec = {
  subprotocol: "messageloop+json",
  encode: (frame) => JSON.stringify(frame, bytesAsText),
  decode(frame: Frame): OutboundFrame {
    try {
      const value: unknown = JSON.parse(textOf(frame));
      if (typeof value !== "object" || !value) throw value;
      const { publication, compact } = value as ReceivedFrame;
      if (compact) return { publication: expanded(compact) };
      // Nearly all that comes. To look at members by names that are known only at run time takes several times as long.
      if (publication) {
        mendMessage(value as Bag);
        for (const message of publication.messages ?? []) mendMessage(message as Bag);
      } else mend(value as Bag);
      return value;
    } catch (cause) {
      throw undecodable(cause);
    }
  },
};

/** What any codec says of a frame that is none. */
export function undecodable(cause?: unknown): MessagingError {
  return new MessagingError("BAD_REQUEST", "the frame cannot be read", { cause });
}

/** What is UTF-8, as text. */
export function textOf(value: string | Uint8Array<ArrayBuffer>): string {
  return typeof value === "string" ? value : new TextDecoder().decode(value);
}

/** Turns the text of integers and bytes into what they are, in place. */
function mend(value: Bag): void {
  for (const key in value) {
    const member = value[key];
    if (typeof member === "object" && member) {
      if (key === "messages") for (const message of member as Bag[]) mendMessage(message);
      else if (key === "payload" || key === "rpc_reply") mendEvent(member as Bag);
      // Of an application, whatever the names in it are.
      else if (key !== "metadata") mend(member as Bag);
    } else if (INTEGERS.test(key)) value[key] = exact(member);
  }
}

/** What nearly all of a connection's text is: it takes too long to look at every member. */
function mendMessage(message: Bag): void {
  const { offset, time, payload } = message;
  if (offset !== undefined) message["offset"] = exact(offset);
  if (time !== undefined) message["time"] = exact(time);
  if (payload) mendEvent(payload as Bag);
}
