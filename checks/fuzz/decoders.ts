/** Frames of every kind to the decoders of both encodings and directions. */
import { codecFor } from "../../src/protocol/codec.ts";
import { anyFrame } from "../../test/protocol/fuzz-frames.ts";
import { survives } from "../../test/protocol/survival.ts";
import type { SeededRandom } from "../../test/support/random.ts";

const codecs = [codecFor("json"), codecFor("proto")];

/** @throws Error where a decoder does something else than to return a message or to say BAD_REQUEST */
export function fuzzDecoders(random: SeededRandom): void {
  const frame = anyFrame(random);
  for (const codec of codecs) for (const survive of survives) survive(codec, frame);
}
