/** What objects answer each other, read with the caution that another version of the program may have written it. */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { GAP_REASONS } from "../../engine/counters.ts";
import type { GapReason } from "../../engine/ports/broker.ts";
import { MessagingError } from "../../protocol/errors.ts";

/**
 * Reads an answer.
 *
 * @throws MessagingError INTERNAL_ERROR where it cannot be read; to ask again would not help
 */
export function readAnswer<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new MessagingError("INTERNAL_ERROR", "an answer cannot be read", { cause: error });
  }
}

/**
 * Why something is missing, as another object says; undefined where it says that nothing is. A reason that
 * only a newer version knows is "unavailable" here.
 */
export function gapReasonOf(text: string): GapReason | undefined {
  if (text === "") return undefined;
  return GAP_REASONS.find((reason) => reason === text) ?? "unavailable";
}
