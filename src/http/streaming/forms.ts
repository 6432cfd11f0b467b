/**
 * How messages of a session pass through the Connect library: unread. It has rules of its own for what a message is,
 * and this protocol has one codec for every door, which knows what bytes and texts to beware of. So protobuf passes as
 * the bytes that it is, and JSON as text.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { BytesValueSchema, EmptySchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import type { Encoding, Frame } from "../../protocol/codec.ts";
import { MessagingError } from "../../protocol/errors.ts";

/**
 * @typeParam In what the library takes a message for that comes in
 * @typeParam Out the same for one that goes out
 */
export interface Form<In extends DescMessage, Out extends DescMessage = In> {
  readonly encoding: Encoding;
  readonly input: In;
  readonly output: Out;
  /** What has come in, as it came. */
  read(message: MessageShape<In>): Frame;
  write(frame: Frame): MessageShape<Out>;
}

const writeBytes = (frame: Frame) => fromBinary(EmptySchema, frame as Uint8Array);

/** Nothing is decoded: the fields of a message without types stay the bytes that they are. */
export const BYTES: Form<typeof EmptySchema> = {
  encoding: "proto",
  input: EmptySchema,
  output: EmptySchema,
  read: (message) => toBinary(EmptySchema, message),
  write: writeBytes,
};

/** The same for a handler after `opaque`, which nothing can fail to pass. */
export const OPAQUE: Form<typeof BytesValueSchema, typeof EmptySchema> = {
  encoding: "proto",
  input: BytesValueSchema,
  output: EmptySchema,
  read: ({ value }) => value,
  write: writeBytes,
};

/** Needs TEXT_OPTIONS. */
export const TEXT: Form<typeof StringValueSchema> = {
  encoding: "json",
  input: StringValueSchema,
  output: StringValueSchema,
  read: ({ value }) => value,
  write: (frame) => create(StringValueSchema, { value: frame as string }),
};

const encoder = new TextEncoder();
// Bytes that are no UTF-8 are no JSON, and neither is a mark of byte order.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Options of the library's JSON. It takes a whole message for a JSON value: on the way in the text is put
 * into quotes, as a `google.protobuf.StringValue` has it, on the way out it is taken out of them.
 */
export const TEXT_OPTIONS = {
  // The library's types know only what it hands on to the runtime; this one means nothing for a text.
  ignoreUnknownFields: true,
  textDecoder: { decode: (bytes?: Uint8Array): string => JSON.stringify(textOf(bytes)) },
  textEncoder: {
    encode: (quoted = '""'): Uint8Array<ArrayBuffer> => encoder.encode(JSON.parse(quoted)),
  },
};

function textOf(bytes: Uint8Array | undefined): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new MessagingError("BAD_REQUEST", "the request is no text in UTF-8", { cause });
  }
}

/** Makes a form's message of a frame for its first writer: a publication has many subscribers. */
export function writerOf<Out extends DescMessage>({
  write,
}: Pick<Form<DescMessage, Out>, "write">): (frame: { readonly data: Frame }) => MessageShape<Out> {
  const written = new WeakMap<object, MessageShape<Out>>();
  return (frame) => {
    const known = written.get(frame);
    if (known !== undefined) return known;
    const message = write(frame.data);
    written.set(frame, message);
    return message;
  };
}
