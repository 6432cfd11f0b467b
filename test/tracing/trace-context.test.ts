/** `traceparent` and `tracestate` as W3C has them: what is valid, and what counts as not there. */
import { expect, test } from "vitest";
import {
  formatTraceparent,
  parseTraceparent,
  parseTracestate,
} from "../../src/tracing/trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, false],
  [`00-${TRACE}-${SPAN}-03`, true],
  [`00-${TRACE}-${SPAN}-fe`, false],
  // A later version may have more parts.
  [`cc-${TRACE}-${SPAN}-01`, true],
  [`cc-${TRACE}-${SPAN}-01-what-the-future-has`, true],
])("%s is valid", (text, sampled) => {
  expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
});

test.each([
  "",
  "00",
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE}-${SPAN}-01-`,
  `cc-${TRACE}-${SPAN}-01.more`,
  `cc-${TRACE}-${SPAN}-01-${"x".repeat(300)}`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE.slice(1)}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-1`,
  `00-${TRACE}-${SPAN}-0g`,
  ` 00-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01\n`,
  `00-${TRACE}-${SPAN}-01\r\nx-evil: 1`,
])("%j is no traceparent", (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
});

test("what is written can be read", () => {
  const text = formatTraceparent({ traceId: TRACE, spanId: SPAN });
  expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
});

test.each([
  ["rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"],
  ["rojo=1 ,\t congo=t61rc WkgMzE", "rojo=1,congo=t61rc WkgMzE"],
  ["a=1,,b=2,", "a=1,b=2"],
  ["fw529a3039@dt=FfD", "fw529a3039@dt=FfD"],
  ["1a@b=x", "1a@b=x"],
])("%j is valid", (text, shortest) => {
  expect(parseTracestate(text)).toBe(shortest);
});

test.each([
  "",
  ",",
  "novalue",
  "a=",
  "A=1",
  "1a=1",
  "a=1=2",
  "a=1,a=2",
  "a=\u00fc",
  "a=1\r\nx-evil: 1",
  "a b=1",
  Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(","),
  `a=${"x".repeat(257)}`,
  `a=${"x".repeat(250)},b=${"x".repeat(250)},c=${"x".repeat(20)}`,
])("%j is no tracestate", (text) => {
  expect(parseTracestate(text)).toBeUndefined();
});
