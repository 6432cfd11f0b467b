/**
 * `npm run check:simulation`: how far one channel of a million subscribers and a hundred thousand channels go, on the objects
 * of `src/objects/` in a simulated network, with and without relays between regions.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Report } from "./report.ts";
import { simulate, WHOLE } from "./simulation/run.ts";
import { pageWith, tablesOf } from "./simulation/tables.ts";

/** What a run may take. */
const MOST_SECONDS = 900;
const MOST_BYTES = 4 * 1024 ** 3;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    sizes: { type: "string", default: WHOLE.sizes.join(",") },
    gateways: { type: "string", default: `${WHOLE.gateways}` },
    channels: { type: "string", default: `${WHOLE.channels}` },
    save: { type: "boolean", default: false },
    plant: { type: "boolean", default: false },
  },
});
const size = {
  ...WHOLE,
  sizes: values.sizes.split(",").map(Number),
  gateways: Number(values.gateways),
  channels: Number(values.channels),
};

const report = new Report("simulation");
const began = performance.now();
const results = await simulate(size, {
  seed: Number(values.seed),
  plant: values.plant,
  done: ({ gateways: all, name, relays, verdict }) => {
    const { acknowledged, broken, problems } = verdict;
    const shown = problems.map((problem) => `\n  ${problem}`).join("");
    report.expect(
      broken === 0 && acknowledged > 0,
      `${name}, ${all} gateways, ${relays ? "with" : "without"} relays: ${acknowledged} messages acknowledged, ${broken} promises broken${shown}`,
    );
  },
});
const seconds = (performance.now() - began) / 1_000;
// Kilobytes, the most that the process ever had.
const bytes = process.resourceUsage().maxRSS * 1_024;
report.expect(seconds <= MOST_SECONDS, `it took ${seconds.toFixed(0)} s of ${MOST_SECONDS}`);
report.expect(bytes < MOST_BYTES, `it took ${(bytes / 2 ** 20).toFixed(0)} MiB of 4,096`);
if (values.save && report.broken.length === 0) {
  const path = new URL("../docs/scaling.md", import.meta.url);
  const page = pageWith(readFileSync(path, "utf8"), results);
  writeFileSync(path, page);
  const file = new URL("simulation/results.json", import.meta.url);
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
} else console.log(tablesOf(results));
report.end();
