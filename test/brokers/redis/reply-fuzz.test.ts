/** The short form of what `npm run check:fuzz` does with the readers of what Redis says. */
import { expect, test } from "vitest";
import { fuzz } from "../../../checks/fuzz/fuzzers.ts";
import { seed, steps } from "../../support/random.ts";

const STEPS = 20_000;

test(
  "whatever Redis says, it is whole, nothing of ours, or a RedisFailure",
  async () => {
    const replies = { fuzzer: "Redis replies", seed: seed(), from: 0, to: steps(STEPS) };
    expect(await fuzz(replies)).toBe(steps(STEPS));
  },
  60_000 + steps(STEPS),
);
