/** The trace context of W3C: the texts `traceparent` and `tracestate`, which events and headers carry. */

/** Which span of which trace. */
export interface TraceContext {
  /** 32 hexadecimal digits in lower case, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits in lower case, not all 0. */
  readonly spanId: string;
  /** Whether its maker has it in a sample. */
  readonly sampled: boolean;
}

/** Version 00 has exactly these four parts. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** Longest `traceparent` that is looked at, in characters: a later version may have more parts. */
const MAX_TRACEPARENT = 256;
/** What every vendor has to pass on of a `tracestate`, in characters. */
const MAX_TRACESTATE = 512;
const MAX_MEMBERS = 32;
const KEY = "[a-z][a-z0-9_\\-*/]{0,255}|[a-z0-9][a-z0-9_\\-*/]{0,240}@[a-z][a-z0-9_\\-*/]{0,13}";
/** Printable ASCII without comma and equals sign; no space at the end. */
const VALUE = "[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]";
const MEMBER = new RegExp(`^(${KEY})=${VALUE}$`);

/**
 * Reads a `traceparent`; undefined for what is not valid.
 *
 * @example
 * parseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?.sampled; // true
 */
export function parseTraceparent(text: string): TraceContext | undefined {
  if (text.length > MAX_TRACEPARENT) return undefined;
  const [, version = "ff", traceId = "", spanId = "", flags = "", more] =
    TRACEPARENT.exec(text) ?? [];
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Of a span of ours, which is in the sample: there is none otherwise. */
export function formatTraceparent({ traceId, spanId }: Omit<TraceContext, "sampled">): string {
  return `00-${traceId}-${spanId}-01`;
}

/** A `tracestate` in its shortest form; undefined where it is empty or not valid. */
export function parseTracestate(text: string): string | undefined {
  // Spaces around members do not count, and a member may be empty.
  if (text.length > 2 * MAX_TRACESTATE) return undefined;
  const members = text
    .split(",")
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((member) => member !== "");
  if (members.length === 0 || members.length > MAX_MEMBERS) return undefined;
  const keys = members.map((member) => MEMBER.exec(member)?.[1]);
  if (keys.includes(undefined) || new Set(keys).size < keys.length) return undefined;
  const whole = members.join(",");
  return whole.length > MAX_TRACESTATE ? undefined : whole;
}
