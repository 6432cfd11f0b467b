/** The page that compares MessageLoop with its peers, from what the bench has measured. */
import type { Results, RowResult } from "../bench/results.ts";

/** What other programs are called, by their names in the bench. */
const PEERS: Readonly<Record<string, string>> = {
  "socket.io": "Socket.IO",
  "centrifugo-json": "Centrifugo",
  "centrifugo-history-json": "Centrifugo with history",
  bun: "Bun's pub/sub",
};
const OURS = "messageloop";

/** @returns Markdown */
export function comparison(results: Results): string {
  const { machine, date, commit } = results;
  const on = (host: string): readonly RowResult[] =>
    results.rows.filter((row) => row.host === host && peersOf(row).length > 0);
  return `# MessageLoop and its peers

Measured by the project's own bench, on one machine, with the same load for each program: ${machine.cores} cores of ${machine.cpu},
${machine.system}, Node ${machine.node}, on ${date.slice(0, 10)} at commit \`${commit}\`. [How it is measured](./bench.md)
and [every row](./results.md) are on pages of their own, and \`npm run bench -- --peers DIR\` measures it again.

What the programs do is not the same. Of those here MessageLoop and Centrifugo with history number each message and keep it, so that a
client that comes back gets what it has missed; MessageLoop also acknowledges each publish and looks for duplicates. Socket.IO
keeps nothing.

## What a message costs the server

CPU time of MessageLoop as a share of the other program's. **1.00 is equal, less is better for MessageLoop**, and in brackets is the interval.

${ratios(on("server"))}

## How fast and how many

The 99th percentile of the latency at a fixed rate, in milliseconds, and deliveries a second when more does not go through.

${speeds(on("server"))}

## Several servers on one Redis

CPU time again, all servers together.

${ratios(on("redis"))}
`;
}

function peersOf(row: RowResult): readonly string[] {
  return Object.keys(PEERS).filter((name) => row.ratios[name] !== undefined);
}

function ratios(rows: readonly RowResult[]): string {
  const names = Object.keys(PEERS).filter((name) => rows.some(({ ratios }) => name in ratios));
  return table(
    ["load", ...names.map((name) => `beside ${PEERS[name]}`)],
    rows.map((row) => [
      row.question,
      ...names.map((name) => {
        const ratio = row.ratios[name];
        if (ratio === undefined) return "";
        const { median, low, high } = ratio;
        return `**${median.toFixed(2)}** (${low.toFixed(2)}–${high.toFixed(2)})`;
      }),
    ]),
  );
}

function speeds(rows: readonly RowResult[]): string {
  const names = [OURS, ...Object.keys(PEERS)].filter((name) =>
    rows.some(({ targets }) => targets[name]?.latency !== undefined),
  );
  const measured = rows.filter(({ targets }) => targets[OURS]?.latency !== undefined);
  return table(
    ["load", ...names.map((name) => PEERS[name] ?? "MessageLoop")],
    measured.map((row) => [
      row.question,
      ...names.map((name) => {
        const { latency, saturation } = row.targets[name] ?? {};
        if (latency === undefined) return "";
        const rate = saturation && Math.round(saturation.perSecond).toLocaleString("en");
        return `${latency.p99.toPrecision(3)} ms${rate === undefined ? "" : `; ${rate}`}`;
      }),
    ]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
