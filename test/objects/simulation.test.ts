/** The simulation of `npm run check:simulation`, at its smallest. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import type { SimulationResults } from "../../checks/simulation/results.ts";
import { simulate } from "../../checks/simulation/run.ts";
import { pageWith } from "../../checks/simulation/tables.ts";

/** A gateway in each region. */
const SMALLEST = { sizes: [], gateways: 9, subscribers: 2, channels: 9, everyMs: 3_000 };
const SCENES = 5;

let plain: SimulationResults;
let planted: SimulationResults;

beforeAll(async () => {
  plain = await simulate(SMALLEST, { seed: 7, plant: false });
  planted = await simulate(SMALLEST, { seed: 7, plant: true });
}, 60_000);

test("every message reaches every subscriber through deploys and the loss of a region", () => {
  expect(plain.scenes).toHaveLength(SCENES);
  for (const { name, parts, verdict } of plain.scenes) {
    expect(verdict.problems, name).toEqual([]);
    expect(verdict.acknowledged, name).toBeGreaterThan(0);
    expect(Math.max(...parts.map(({ deliveries }) => deliveries)), name).toBeGreaterThan(0);
  }
});

test("the same seed has the same results", () => {
  const [one, other] = [plain, planted].map(({ scenes }) => scenes.map(({ parts }) => parts));
  expect(other).toEqual(one);
});

test("a message that a gateway has not taken is found", () => {
  for (const { name, verdict } of planted.scenes) {
    expect(verdict.problems.join(), name).toContain("wait in vain");
  }
});

test("the page has the tables of the committed results", () => {
  const [page = "", results = ""] = ["docs/scaling.md", "checks/simulation/results.json"].map(
    (file) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"),
  );
  expect(page).toBe(pageWith(page, JSON.parse(results) as SimulationResults));
});
