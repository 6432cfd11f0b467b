/** Two `serve` processes on a Redis that keeps its word. */
import { expect, test } from "vitest";
import { DURABLE_FAULTS } from "./process-host.ts";
import { expectLife, lifeOn, PATIENCE_MS, WHOLE } from "./process-life.ts";

test(
  "with a Redis that keeps its word nothing is lost, repeated or out of order",
  async () => {
    const life = await lifeOn({
      durable: true,
      redis: { appendonly: "yes", appendfsync: "always" },
      faults: DURABLE_FAULTS,
    });
    if (WHOLE) expectLife(life);
    // Of a new epoch hears only who asks for a position that never was.
    expect(life.counts["gap epoch_changed"]).toBeUndefined();
  },
  PATIENCE_MS,
);
