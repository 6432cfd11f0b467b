/** The short form of `npm run check:soak`, of memory: the same code, and that it finds what it looks for. */
import { describe, test } from "vitest";
import { churn } from "../../checks/soak/churn.ts";
import { names } from "../../checks/soak/names.ts";
import { brokenBy } from "./broken-by.ts";

const TIMEOUT_MS = 600_000;

// Each has a server of its own, whose memory and turns it looks at, and most of its time it waits until all is forgotten.
describe.concurrent("memory", { timeout: TIMEOUT_MS }, () => {
  test("clients that have gone leave nothing behind", async ({ expect }) => {
    expect(await brokenBy((report) => churn(report, { first: 800, total: 2_000 }))).toEqual([]);
  });

  test("a server that keeps something of each client is found", async ({ expect }) => {
    const cycles = { first: 200, total: 1_200, plant: "leak" } as const;
    const broken = await brokenBy((report) => churn(report, cycles));
    expect(broken).toEqual([expect.stringContaining("memory of cycle")]);
  });

  test("channels that are forgotten give back their memory, without a long turn", async ({
    expect,
  }) => {
    const short = { names: 5_000, ttlSeconds: 20, lateSeconds: 7 };
    expect(await brokenBy((report) => names(report, short))).toEqual([]);
  });
});
