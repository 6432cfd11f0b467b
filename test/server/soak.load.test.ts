/** The short form of `npm run check:soak`: the same code, and that it finds what it looks for. */
import { expect, test } from "vitest";
import { pause, Report } from "../../checks/report.ts";
import { churn } from "../../checks/soak/churn.ts";
import { fairness } from "../../checks/soak/fairness.ts";
import { names } from "../../checks/soak/names.ts";
import { Turns } from "../../checks/soak/turns.ts";

async function brokenBy(run: (report: Report) => Promise<void>): Promise<readonly string[]> {
  const report = new Report("soak");
  await report.part("short form", () => run(report));
  return report.broken;
}

test("clients that have gone leave nothing behind", async () => {
  expect(await brokenBy((report) => churn(report, { first: 800, total: 2_000 }))).toEqual([]);
});

test("a server that keeps something of each client is found", async () => {
  const cycles = { first: 200, total: 1_200, plant: "leak" } as const;
  const broken = await brokenBy((report) => churn(report, cycles));
  expect(broken).toEqual([expect.stringContaining("memory of cycle")]);
});

test("channels that are forgotten give back their memory, without a long turn", async () => {
  const short = { names: 5_000, ttlSeconds: 10, lateSeconds: 7 };
  expect(await brokenBy((report) => names(report, short))).toEqual([]);
});

function isLate(line: string): boolean {
  return line.includes("ping p99");
}

function cpuMs(): number {
  return process.threadCpuUsage().user / 1_000;
}

test("a long turn is found", async () => {
  const turns = new Turns();
  turns.start();
  await pause(20);
  // Its own CPU time: on a machine that does something else the clock goes on without it.
  for (const end = cpuMs() + 120; cpuMs() < end; ) Math.random();
  await pause(20);
  const { p999, longest } = turns.stop();
  expect(longest).toBeGreaterThan(50);
  expect(p999).toBe(longest);
});

test("others feel little of who is busy", async () => {
  const only = ["history reader", "rewind loop", "hot pattern", "undecodable", "rpcs"];
  const storms = { scale: 0.1, only, pingMs: 400 };
  let broken = await brokenBy((report) => fairness(report, storms));
  // What else the machine does beside the tests only ever makes a ping later: the best of three says what storms do.
  for (let again = 0; again < 2 && broken.length > 0 && broken.every(isLate); again++) {
    broken = await brokenBy((report) => fairness(report, storms));
  }
  expect(broken).toEqual([]);
});

test("a ping that is late is found", async () => {
  const storms = { scale: 0.3, only: ["publishers"], plant: "stall", pingMs: 300 } as const;
  const broken = await brokenBy((report) => fairness(report, storms));
  expect(broken).toEqual([expect.stringContaining("ping p99")]);
});
