/**
 * `npm run check:cpu`: CPU time of the server for a million deliveries at a fixed rate, of this tree and of another
 * commit, in interleaved pairs of fresh processes. The verdict is about the interval of the median ratio.
 */
import { parseArgs } from "node:util";
import { median, medianInterval } from "../bench/statistics.ts";
import { ROOT, treeOf } from "../bench/trees.ts";
import { type Program, startServer, workerOf } from "./cpu/hosts.ts";
import { Load } from "./cpu/load.ts";
import { Report } from "./report.ts";

interface Host {
  readonly subscribers: number;
  /** Publishes a second: a load that leaves the machine half idle. */
  readonly rate: number;
  /** How the server of a tree is started, after what has to be built is built. */
  prepare(tree: string, slower: boolean): () => Promise<Program>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: "string", default: "2e8e668" },
    pairs: { type: "string", default: "21" },
    seconds: { type: "string", default: "5" },
    allowed: { type: "string", default: "1.03" },
    plant: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const allowed = Number(values.allowed);
/** How long a fresh process is under load before it is measured, in seconds. */
const WARM_SECONDS = 2;

const HOSTS: Readonly<Record<string, Host>> = {
  server: {
    subscribers: 500,
    rate: 300,
    prepare: (tree, slower) => () => startServer(tree, slower),
  },
  worker: {
    subscribers: 200,
    rate: 200,
    prepare: (tree) => workerOf(tree),
  },
};

interface Cost {
  /** Of CPU, for a million deliveries. */
  readonly seconds: number;
  /** Deliveries that came at once. Where the sides differ the load was not the same: the machine is not quiet. */
  readonly together: number;
}

async function measure({ subscribers, rate }: Host, start: () => Promise<Program>): Promise<Cost> {
  const program = await start();
  try {
    const load = await Load.open({ port: program.port, subscribers, rate });
    await load.run(WARM_SECONDS);
    const before = program.cpu();
    const { deliveries, reads } = await load.run(seconds);
    const spent = program.cpu() - before;
    load.close();
    return { seconds: spent / 1e9 / (deliveries / 1e6), together: deliveries / reads };
  } finally {
    await program.stop();
  }
}

async function compare(report: Report, name: string, host: Host, other: string): Promise<void> {
  const ours = host.prepare(ROOT, values.plant);
  const theirs = host.prepare(other, false);
  const costs: { ours: Cost[]; theirs: Cost[] } = { ours: [], theirs: [] };
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    // The order changes: what slowly changes on the machine meets both.
    const order = pair % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    for (const side of order) {
      costs[side].push(await measure(host, side === "ours" ? ours : theirs));
    }
    const told = [costs.ours.at(-1), costs.theirs.at(-1)].map((cost) => {
      return `${cost?.seconds.toFixed(3)} s (${cost?.together.toFixed(2)} at once)`;
    });
    report.say(`${name} pair ${pair + 1}: ${told.join(" and ")} a million deliveries`);
  }
  const [own, its] = [costs.ours, costs.theirs].map((side) => ({
    seconds: median(side.map((cost) => cost.seconds)).toFixed(3),
    together: median(side.map((cost) => cost.together)).toFixed(2),
  }));
  const ratios = costs.ours.map(({ seconds: one }, i) => {
    return one / (costs.theirs[i]?.seconds ?? Number.NaN);
  });
  const { median: middle, low, high } = medianInterval(ratios);
  report.expect(
    high <= allowed,
    `${name}: ${own?.seconds} s of CPU a million deliveries (${own?.together} at once), ${values.against} ${its?.seconds} s (${its?.together}); ratio ${middle.toFixed(3)}, 95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}, which may end at ${allowed}`,
  );
}

const report = new Report("cpu");
await report.part(`against ${values.against}`, async () => {
  const tree = treeOf(values.against);
  try {
    for (const name of positionals.length > 0 ? positionals : Object.keys(HOSTS)) {
      const host = HOSTS[name];
      if (host === undefined) throw new Error(`the hosts are ${Object.keys(HOSTS).join(", ")}`);
      await compare(report, name, host, tree.path);
    }
  } finally {
    tree.remove();
  }
});
report.end();
