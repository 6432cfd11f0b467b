/**
 * What calls of the Connect services say that they are made of. The library reads a content type letter by letter, and
 * refuses what it does not know without a word.
 */
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalHandlerFn,
} from "@connectrpc/connect/protocol";
import type { Encoding } from "../protocol/codec.ts";
import { mediaTypeOf } from "../protocol/media-type.ts";
import { utf8Encode } from "../protocol/utf8.ts";

/**
 * How the message of a call of the plain kind is encoded, with any parameters of its content type: of these only another
 * charset than UTF-8 means anything. Undefined for every other type.
 */
export function plainEncodingOf(contentType: string): Encoding | undefined {
  // Nearly all of them.
  if (contentType === "application/json") return "json";
  if (contentType === "application/proto") return "proto";
  const { name, text } = mediaTypeOf(contentType);
  if (name === "application/json") return text ? "json" : undefined;
  return name === "application/proto" ? "proto" : undefined;
}

/** What callers get that the library refuses. */
export interface CallWords {
  /** Of another method than POST. */
  readonly method: string;
  /** Of another content type. */
  readonly type: string;
}

/** A handler of the library that takes plain content types with their parameters, and says what it refuses and why. */
export function outspoken(handler: UniversalHandler, words: CallWords): UniversalHandler {
  const refusals = new Map([
    [405, { code: "METHOD_NOT_ALLOWED", message: words.method }],
    [415, { code: "UNSUPPORTED_TYPE", message: words.type }],
  ]);
  const handle: UniversalHandlerFn = async (request) => {
    const answer = await handler({ ...request, header: withoutParameters(request.header) });
    const refusal = refusals.get(answer.status);
    if (refusal === undefined || answer.body !== undefined) return answer;
    const header = new Headers({ "content-type": "application/json; charset=utf-8" });
    if (answer.status === 405) header.set("allow", "POST");
    return { ...answer, header, body: createAsyncIterable([utf8Encode(JSON.stringify(refusal))]) };
  };
  return Object.assign(handle, { ...handler });
}

function withoutParameters(header: Headers): Headers {
  const type = header.get("content-type") ?? "";
  const encoding = plainEncodingOf(type);
  if (encoding === undefined || !type.includes(";")) return header;
  const rest = new Headers(header);
  rest.set("content-type", `application/${encoding}`);
  return rest;
}
