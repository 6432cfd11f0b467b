/**
 * How JSON messages of a stream pass through the library, which reads JSON by rules of its own: as texts
 * that our codec reads and writes, so that this door has the rules of every other.
 */
import type { DescMethodBiDiStreaming } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { MessagingService } from "../../protocol/gen/messageloop/v1/service_pb.js";

/** The method with the JSON text of each message in the place of the message. */
export const TEXTS: DescMethodBiDiStreaming<typeof StringValueSchema, typeof StringValueSchema> = {
  ...MessagingService.method.messageLoop,
  input: StringValueSchema,
  output: StringValueSchema,
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
  textDecoder: { decode: (bytes?: Uint8Array): string => JSON.stringify(decoder.decode(bytes)) },
  textEncoder: {
    encode: (quoted = '""'): Uint8Array<ArrayBuffer> => encoder.encode(JSON.parse(quoted)),
  },
};

export type Text = StringValue;
