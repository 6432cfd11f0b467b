/** Requests of the server API, out of what callers send: the same in each encoding and by each protocol. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { decodeStrict, type Encoding, type Frame } from "../../protocol/codec.ts";
import { MessagingError } from "../../protocol/errors.ts";

const NAMES: Readonly<Record<Encoding, string>> = { json: "JSON", proto: "protobuf" };

/**
 * Reads a request by the rules of every frame (SPEC F3 and F4).
 *
 * @param frame bytes, or JSON as text
 * @throws MessagingError BAD_REQUEST that names the first field that cannot be read, where one is to blame
 */
export function decodeRequest<Desc extends DescMessage>(
  schema: Desc,
  encoding: Encoding,
  frame: Frame,
): MessageShape<Desc> {
  try {
    return decodeStrict(schema, encoding, frame);
  } catch (cause) {
    const text = `the request is no ${schema.name} in ${NAMES[encoding]}`;
    const field = fieldOf(cause);
    throw new MessagingError(
      "BAD_REQUEST",
      field === undefined ? text : `${text}: ${field} cannot be read`,
      { cause },
    );
  }
}

/** The field that caused an error, such as `Publication.payload`. */
function fieldOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (!isFieldError(at)) continue;
    const { parent, name } = at.field();
    return `${parent.name}.${name}`;
  }
  return undefined;
}
