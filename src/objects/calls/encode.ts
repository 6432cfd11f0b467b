/** How objects write what they say to each other. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";

/** The bytes of a message. */
export function encode<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): Uint8Array {
  return toBinary(schema, create(schema, init));
}
