/** Two `serve` processes on a Redis that may lose what it has acknowledged. */
import { expect, test } from "vitest";
import { CARELESS_FAULTS } from "./process-host.ts";
import { expectLife, lifeOn, PATIENCE_MS, WHOLE } from "./process-life.ts";

test(
  "whatever a Redis loses, who listens and who comes back is told of it",
  async () => {
    const life = await lifeOn({ durable: false, redis: {}, faults: CARELESS_FAULTS });
    if (!WHOLE) return;
    expectLife(life);
    expect(life.host.lost).toBeGreaterThan(0);
    expect(life.counts["gap epoch_changed"]).toBeGreaterThan(10);
    expect(life.counts["recovered epoch_changed"]).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
