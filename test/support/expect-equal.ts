/** Comparisons that a test makes ten thousand times: an assertion of the tool costs more than most of what is compared. */
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";

/**
 * As `toEqual`, which is asked only where something differs. It is stricter about nothing: what `toEqual` passes over, it is
 * asked about.
 *
 * @param about what is said of a difference
 * @example
 * expectEqual(json.decode(text), protobuf.decode(bytes), () => `step ${step}: ${text}`);
 */
export function expectEqual(actual: unknown, expected: unknown, about?: () => string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  expect(actual, about?.()).toEqual(expected);
}
