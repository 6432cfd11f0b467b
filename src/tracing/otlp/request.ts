/** What an export says in either encoding. */
import type { SpanAttributes } from "../../engine/ports/tracing.ts";
import type { EndedSpan } from "./recorder.ts";

/** Who makes the spans. */
export interface Resource {
  /** The program that made them, as OTLP's instrumentation scope. */
  readonly scope: { readonly name: string };
  /** Such as `service.name`. */
  readonly attributes: SpanAttributes;
}

/** The status of a span whose operation has failed. */
export const STATUS_ERROR = 2;

/** Flags of a span beside those of W3C: whether it is known if the parent is remote, and whether it is. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;
const SAMPLED = 1;

export function flagsOf({ parent }: EndedSpan): number {
  return SAMPLED | HAS_IS_REMOTE | (parent?.remote === true ? IS_REMOTE : 0);
}

/** What is known of it, with why it has failed. */
export function allAttributes({ attributes, failure }: EndedSpan): SpanAttributes {
  return failure === undefined ? attributes : { ...attributes, "error.type": failure };
}

/** Unix nanoseconds. @param ms Unix milliseconds */
export function nanosOf(ms: number): bigint {
  return BigInt(Math.round(ms * 1_000)) * 1_000n;
}
