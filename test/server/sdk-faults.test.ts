/** The short form of `npm run check:sdk`: the same code, and that it finds what it looks for. */
import { expect, test } from "vitest";
import { FAULTS } from "../../checks/sdk/faults.ts";
import { HOSTS } from "../../checks/sdk/hosts.ts";
import { liveBySdk, type SdkLifeOptions } from "../../checks/sdk/life.ts";
import { seed, steps } from "../support/random.ts";

const STEPS = 1_000;
const ROUND = 250;
/** A longer life may take longer. */
const TIMEOUT_MS = Math.max(180_000, 100 * steps(STEPS));

async function live(options: Omit<SdkLifeOptions, "host" | "seed" | "round">) {
  const host = await HOSTS.memory(seed());
  try {
    return await liveBySdk({ ...options, host, seed: seed(), round: ROUND });
  } finally {
    await host.stop();
  }
}

test(
  "1,000 steps through a network that fails",
  async () => {
    const { counts, faults, promises } = await live({ steps: steps(STEPS) });
    expect(counts["application message"]).toBeGreaterThan(0);
    expect(counts["application replay"]).toBeGreaterThan(0);
    expect(promises["resolved"]).toBeGreaterThan(0);
    // A shorter life need not see everything.
    if (steps(STEPS) < STEPS) return;
    const common = FAULTS.filter(([, often]) => often >= 80).map(([name]) => name);
    expect(Object.keys(faults)).toEqual(expect.arrayContaining(common));
  },
  TIMEOUT_MS,
);

test(
  "a frame that is lost is found",
  async () => {
    await expect(live({ steps: steps(STEPS), plant: true })).rejects.toThrow(
      /seed \d+, step \d+: \d+ problems/,
    );
  },
  TIMEOUT_MS,
);
