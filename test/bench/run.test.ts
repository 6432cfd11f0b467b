/** `npm run bench`, with two short rows. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { Results } from "../../bench/results.ts";

const PROGRAM = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));
const ROWS = ["fan-out-1", "latency"];

test("a short run has a table, and results of all that it measured", async () => {
  const args = [PROGRAM, ...ROWS, "--generations", "1", "--seconds", "0.3"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const lines = stdout.trimEnd().split("\n");
  const results = JSON.parse(lines.at(-1) ?? "") as Results;
  expect(results.rows.map(({ name }) => name)).toEqual(ROWS);
  for (const { name, targets, ratios, failed } of results.rows) {
    expect(failed).toEqual([]);
    expect(Object.keys(targets)).toEqual(["messageloop", "bare-turns", "bare-frames"]);
    for (const { cost, saturation, latency } of Object.values(targets)) {
      expect(cost).toBeGreaterThan(1_000);
      expect(saturation?.perSecond).toBeGreaterThan(100);
      expect(saturation?.target).toBeGreaterThan(0);
      expect(latency?.p50).toBeGreaterThan(0);
      expect(latency?.p99).toBeGreaterThanOrEqual(latency?.p50 ?? Number.NaN);
    }
    for (const { median, low, high } of Object.values(ratios)) {
      expect(median).toBeGreaterThan(0);
      expect([low, high]).toEqual([median, median]);
    }
    expect(lines.filter((line) => line.startsWith(`| ${name} |`))).toHaveLength(2);
  }
});

test("a row that does not exist is an error", async () => {
  const run = promisify(execFile)(process.execPath, [PROGRAM, "fan-in"]);
  await expect(run).rejects.toThrow(/no row or host "fan-in"/);
});
