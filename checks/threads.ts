/**
 * `npm run check:threads`: a server whose threads end one after the other under load, one of whose threads is blocked, and
 * how its clients and channels are spread; and what the two ways cost by which connections can reach threads.
 */
import { parseArgs } from "node:util";
import { BUNDLES } from "../test/support/programs.ts";
import { Report } from "./report.ts";
import { accept } from "./threads/accept.ts";
import { balance } from "./threads/balance.ts";
import { blocked } from "./threads/blocked.ts";
import { deaths } from "./threads/deaths.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    deaths: { type: "string", default: "100" },
    connections: { type: "string", default: "10000" },
    plant: { type: "boolean", default: false },
  },
});
const { plant } = values;
// Threads start often. Outside of vitest nobody has built their program yet.
if (process.env[BUNDLES] === undefined) (await import("../test/support/build-programs.ts")).setup();

const PARTS: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  deaths: (report) => deaths(report, { deaths: Number(values.deaths), plant }),
  blocked: (report) => blocked(report, plant),
  balance: (report) => balance(report, { connections: Number(values.connections), plant }),
  accept: (report) => accept(report, plant),
};

const report = new Report("threads");
for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(", ")}`);
  await report.part(name, () => part(report));
}
report.end();
