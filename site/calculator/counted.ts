/** The rows of the bench in which Cloudflare's bill was counted. */
import type { Billed } from "../../bench/counts.ts";
import type { Results } from "../../bench/results.ts";
import type { Counted } from "./cost.ts";

const MILLION = 1e6;
const CONNECT = "worker-cost-connect";
/** Subscribers of a channel, and channels, of the loads in bench/rows/worker-cost.ts. */
const LOADS: Readonly<Record<string, readonly [subscribers: number, channels: number]>> = {
  "worker-cost-one-to-one": [1, 1],
  "worker-cost-many-channels": [1, 100],
  "worker-cost-fan-out-100": [100, 1],
  "worker-cost-fan-out-1000": [1_000, 1],
};

/** @throws Error where a row is missing */
export function countedBy({ rows }: Results): Counted {
  const of = (name: string, operations: number): Billed => {
    const counted = rows.find((row) => row.name === name)?.targets["messageloop"]?.counted;
    if (counted === undefined) throw new Error(`the bench has not counted ${name}`);
    const one = Object.entries(counted).map(([item, count]) => [
      item,
      (count / MILLION) * operations,
    ]);
    return Object.fromEntries(one) as unknown as Billed;
  };
  return {
    publishes: Object.entries(LOADS).map(([row, [subscribers, channels]]) => ({
      row,
      subscribers,
      channels,
      billed: of(row, subscribers),
    })),
    connect: of(CONNECT, 1),
  };
}
