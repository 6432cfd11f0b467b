/**
 * `npm run check:soak`: what a self-hosted server keeps of clients that have gone and of channels that are
 * forgotten, how long turns of its event loop take, and what an innocent client feels of busy ones.
 */
import { parseArgs } from "node:util";
import { Report } from "./report.ts";
import { churn } from "./soak/churn.ts";
import { fairness } from "./soak/fairness.ts";
import type { Plant } from "./soak/host.ts";
import { names } from "./soak/names.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: "string", default: "100000" },
    names: { type: "string", default: "1000000" },
    scale: { type: "string", default: "1" },
    storm: { type: "string", multiple: true },
    plant: { type: "string" },
  },
});
const plant = values.plant === undefined ? {} : { plant: values.plant as Plant };
const total = Number(values.cycles);
const count = Number(values.names);

const PARTS: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  churn: (report) => churn(report, { first: total / 10, total, ...plant }),
  names: (report) => {
    // Twice the time that they should take, and some.
    const ttlSeconds = Math.ceil(30 + count / 10_000);
    return names(report, { names: count, ttlSeconds, lateSeconds: 60, ...plant });
  },
  fairness: (report) => {
    const only = values.storm === undefined ? {} : { only: values.storm };
    return fairness(report, { scale: Number(values.scale), ...only, ...plant });
  },
};

const report = new Report("soak");
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(", ")}`);
  await report.part(name, () => part(report));
}
report.end();
