/** A random life on the self-hosted server: every subscriber gets everything once, or is told what not. */
import { expect, test } from "vitest";
import { live, SEEN_BY_ALL } from "../history/life.ts";
import { seed, steps } from "../support/random.ts";
import { ServerHost } from "./life-host.ts";

/** A longer life may take longer. */
const TIMEOUT_MS = Math.max(300_000, 30 * steps(10_000));

test(
  "10,000 steps",
  async () => {
    const host = new ServerHost(seed());
    await host.start();
    try {
      const count = steps(10_000);
      const { counts, events } = await live({ host, steps: count, seed: seed() });
      // A shorter life need not see everything.
      if (count < 10_000) return;
      expect(Object.keys(counts)).toEqual(expect.arrayContaining([...SEEN_BY_ALL]));
      expect(Object.keys(events).sort()).toEqual([...host.events.keys()].sort());
    } finally {
      await host.stop();
    }
  },
  TIMEOUT_MS,
);
