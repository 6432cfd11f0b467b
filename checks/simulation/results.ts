/** What was simulated, as it is kept. */
import { type Billed, priceOf } from "../../bench/counts.ts";
import { Histogram } from "../../bench/generator/histogram.ts";
import type { Counted, Verdict } from "./scene.ts";
import type { TurnTimes } from "./turn-times.ts";

export interface SimulationResults {
  readonly seed: number;
  /** What objects are busy with, by the bench of that commit. */
  readonly bench: { readonly commit: string; readonly date: string; readonly times: TurnTimes };
  readonly scenes: readonly SceneResult[];
}

export interface SceneResult {
  readonly name: string;
  readonly relays: boolean;
  readonly gateways: number;
  readonly subscribers: number;
  readonly channels: number;
  readonly parts: readonly Part[];
  readonly verdict: Verdict;
}

/** A part of a scene, with what was counted in it. */
export interface Part extends Omit<Counted, "latencies"> {
  readonly name: string;
  readonly dollars: number;
  /** In milliseconds; null where there was no delivery. */
  readonly p50: number | null;
  readonly p99: number | null;
}

/** The same part of worlds that have nothing to do with each other. */
export function partOf(name: string, worlds: readonly Counted[]): Part {
  const latencies = new Histogram();
  const calls: Record<string, number> = {};
  for (const counted of worlds) {
    latencies.merge(counted.latencies);
    for (const [method, count] of Object.entries(counted.calls)) {
      calls[method] = (calls[method] ?? 0) + count;
    }
  }
  const sum = (of: (counted: Counted) => number): number =>
    worlds.reduce((all, counted) => all + of(counted), 0);
  const bill = (what: keyof Billed): number => sum(({ billed }) => billed[what]);
  const billed: Billed = {
    workerRequests: bill("workerRequests"),
    objectRequests: bill("objectRequests"),
    calls: bill("calls"),
    messages: bill("messages"),
    rowsRead: bill("rowsRead"),
    rowsWritten: bill("rowsWritten"),
    awakeSeconds: bill("awakeSeconds"),
  };
  const at = (share: number): number | null =>
    latencies.count === 0 ? null : latencies.percentile(share);
  return {
    name,
    messages: sum(({ messages }) => messages),
    deliveries: sum(({ deliveries }) => deliveries),
    replayed: sum(({ replayed }) => replayed),
    gaps: sum(({ gaps }) => gaps),
    refused: sum(({ refused }) => refused),
    calls,
    billed,
    dollars: priceOf(billed),
    p50: at(0.5),
    p99: at(0.99),
    channelMs: sum(({ channelMs }) => channelMs),
    backMs: Math.max(...worlds.map(({ backMs }) => backMs)),
  };
}

export function verdictOf(worlds: readonly Verdict[]): Verdict {
  const warnings: Record<string, number> = {};
  for (const verdict of worlds) {
    for (const [text, count] of Object.entries(verdict.warnings)) {
      warnings[text] = (warnings[text] ?? 0) + count;
    }
  }
  return {
    acknowledged: worlds.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    broken: worlds.reduce((sum, { broken }) => sum + broken, 0),
    problems: worlds.flatMap(({ problems }) => problems),
    warnings,
  };
}
