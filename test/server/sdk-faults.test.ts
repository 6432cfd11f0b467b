/** The short form of `npm run check:sdk`: the same code, and that it finds what it looks for. */
import { expect, test } from "vitest";
import { HOSTS } from "../../checks/sdk/hosts.ts";
import { liveBySdk, type SdkLifeOptions } from "../../checks/sdk/life.ts";
import { STREAMS, WEB_SOCKETS } from "../../checks/sdk/ways.ts";
import { seed, steps } from "../support/random.ts";

const STEPS = 1_000;
const ROUND = 250;
/** A longer life may take longer. */
const TIMEOUT_MS = Math.max(180_000, 200 * steps(STEPS));

async function live(options: Omit<SdkLifeOptions, "host" | "seed" | "round">) {
  const host = await HOSTS.memory({ steps: options.steps, seed: seed() });
  try {
    return await liveBySdk({ ...options, host, seed: seed(), round: ROUND });
  } finally {
    await host.stop();
  }
}

test.each([
  { of: "WebSockets", ways: WEB_SOCKETS, length: 750, kinds: 6 },
  // What a stream has lost is found out later than by a WebSocket.
  { of: "streams", ways: STREAMS, length: 250, kinds: 3 },
])(
  "$length steps by $of through a network that fails",
  async ({ ways, length, kinds }) => {
    const { counts, faults, promises } = await live({ steps: steps(length), ways });
    expect(counts["application message"]).toBeGreaterThan(0);
    expect(counts["application replay"]).toBeGreaterThan(0);
    expect(promises["resolved"]).toBeGreaterThan(0);
    // A shorter life need not see everything.
    if (steps(length) >= length) expect(Object.keys(faults).length).toBeGreaterThanOrEqual(kinds);
  },
  TIMEOUT_MS,
);

test(
  "a frame that is lost is found",
  async () => {
    // What is lost does not come: nobody need wait for it as long as a busy machine may take.
    const lossy = { steps: steps(STEPS), plant: true, owedMs: 5_000 };
    await expect(live(lossy)).rejects.toThrow(/seed \d+, step \d+: \d+ problems/);
  },
  TIMEOUT_MS,
);
