/**
 * Hands requests to the Connect library as values that it cannot fail to read: protobuf as bytes of which it knows
 * nothing. What it would say against what is no protobuf is for programmers, and of another code on each way.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalHandlerFn,
  UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { isIterable } from "../call-body.ts";

/** Protocols that put each message into an envelope: flags, and a length of four bytes. */
const ENVELOPED = /^application\/(?:connect\+|grpc)/i;
const HEAD_BYTES = 5;
/** Number and wire type of the one field of `google.protobuf.BytesValue`. */
const BYTES_TAG = (1 << 3) | 2;
const NOTHING = new Uint8Array();

/** @returns what goes before a message of so many bytes */
type Prefix = (length: number) => Uint8Array;

/** Whether a call's messages are JSON. */
export function isJson(header: Headers): boolean {
  return /[/+]json\b/i.test(header.get("content-type") ?? "");
}

/**
 * A handler that takes protobuf for a `google.protobuf.BytesValue`, and JSON as it is.
 *
 * @param handler without a bound of its own
 * @param maxBytes of one message; a longer one is RESOURCE_EXHAUSTED
 * @param refused hears why a call is refused whose request cannot be had
 */
export function opaque(
  handler: UniversalHandler,
  maxBytes: number,
  refused: (error: ConnectError) => void = () => {},
): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) => {
    if (!isIterable(request.body)) return await handler(request);
    const header = new Headers(request.header);
    // The length of what comes out is another one.
    header.delete("content-length");
    const prefix = isJson(header) ? () => NOTHING : prefixOfBytes;
    const enveloped = ENVELOPED.test(header.get("content-type") ?? "");
    const messages = (enveloped ? envelopes : whole)(request, request.body, prefix, maxBytes);
    return await handler({ ...request, header, body: noting(messages, refused) });
  };
  return Object.assign(handle, { ...handler });
}

async function* noting(
  messages: AsyncIterable<Uint8Array>,
  refused: (error: ConnectError) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* messages;
  } catch (error) {
    // What is no refusal of ours is a body that breaks off.
    const told = ConnectError.from(error, Code.Canceled);
    refused(told);
    throw told;
  }
}

/** A message that is the whole body. */
async function* whole(
  { header }: Pick<UniversalServerRequest, "header">,
  body: AsyncIterable<Uint8Array>,
  prefix: Prefix,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  if (Number(header.get("content-length") ?? 0) > maxBytes) throw tooLong(maxBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw tooLong(maxBytes);
    chunks.push(chunk);
  }
  yield prefix(length);
  yield* chunks;
}

/** Messages in envelopes. What is no plain message is the library's. */
async function* envelopes(
  _: unknown,
  body: AsyncIterable<Uint8Array>,
  prefix: Prefix,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const head = new Uint8Array(HEAD_BYTES);
  let filled = 0;
  let left = 0;
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      if (left > 0) {
        const part = chunk.subarray(at, at + left);
        left -= part.length;
        at += part.length;
        yield part;
        continue;
      }
      const part = chunk.subarray(at, at + HEAD_BYTES - filled);
      head.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < HEAD_BYTES) break;
      filled = 0;
      left = new DataView(head.buffer).getUint32(1);
      if (left > maxBytes) throw tooLong(maxBytes);
      yield head[0] === 0 ? withPrefix(left, prefix(left)) : head.slice();
    }
  }
  if (filled > 0 || left > 0) {
    throw new ConnectError("the request ends in the middle of a message", Code.InvalidArgument);
  }
}

function withPrefix(length: number, prefix: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + prefix.length);
  new DataView(bytes.buffer).setUint32(1, length + prefix.length);
  bytes.set(prefix, HEAD_BYTES);
  return bytes;
}

function prefixOfBytes(length: number): Uint8Array {
  const bytes = [BYTES_TAG];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function tooLong(maxBytes: number): ConnectError {
  return new ConnectError(`a request has at most ${maxBytes} bytes`, Code.ResourceExhausted);
}
