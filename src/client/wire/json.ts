/** Frames as JSON: `JSON.parse`, and then what JSON has no form for. */
import { MessagingError } from "../../protocol/errors.ts";
import { expand, expanded, headOf } from "./compact.ts";
import type { Codec, Frame, OutboundFrame, ReceivedFrame, WireCompact } from "./frames.ts";
import { type Bag, bytesAsText, exact, mendEvent } from "./values.ts";

/** The 64-bit integers, which come as text. */
const INTEGERS = /^(?:offset|time|number|credit_bytes|expires_at)$/;

/** What nearly all of a connection's text begins with: what the frames of a publisher to a channel have in common. */
let heads: readonly { readonly text: string; readonly head: WireCompact }[] = [];
const MOST_HEADS = 16;

export const json: Codec = {
  subprotocol: "messageloop+json",
  encode: (frame) => JSON.stringify(frame, bytesAsText),
  decode(frame: Frame): OutboundFrame {
    const text = textOf(frame);
    const end = text.indexOf('],"offset":"') + 1;
    try {
      if (end && text.endsWith("}}")) return byHead(text, end);
    } catch {
      // As a whole it may be a frame.
    }
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value !== "object" || !value) throw value;
      const { compact } = value as ReceivedFrame;
      if (compact) return { publication: expanded(compact) };
      mend(value as Bag);
      return value;
    } catch (cause) {
      throw undecodable(cause);
    }
  },
};

/**
 * A compact frame as a server writes it, of which all is parsed that does not stand in the head of one before.
 *
 * @param end of its head
 * @throws where it is written in another way
 */
function byHead(text: string, end: number): OutboundFrame {
  const head = text.slice(0, end);
  const start = text.indexOf('","messages":[', end);
  let known = heads.find((one) => one.text === head);
  if (!known) {
    // Its own text and no part of the frame's, which would be kept with it.
    const own = `${head}}}`;
    const value = JSON.parse(own);
    if (Object.keys(value)[1]) throw value;
    known = { text: own.slice(0, end), head: headOf(value.compact) };
    heads = [known, ...heads.slice(0, MOST_HEADS - 1)];
  }
  const [offset, time] = text.slice(end + 11, start).split('","time":"');
  const messages = JSON.parse(text.slice(start + 13, -2));
  return { publication: expand(known.head, messages, exact(offset), exact(time)) };
}

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
