/** What a node has done over the last hour, from how its counters stood each few seconds. It is kept while the page is open. */
import type { Counted, NodeStatus } from "./server-api.ts";

/** Between two looks, in milliseconds. */
export const SAMPLE_MS = 5_000;
const KEPT_MS = 60 * 60 * 1_000;
const MOST_INCIDENTS = 100;

export interface Sample {
  /** When it was taken, Unix milliseconds by the server's clock. */
  readonly at: number;
  readonly node: NodeStatus;
}

/** A place on a curve; undefined where the node was not seen, or began again. */
export interface Point {
  readonly at: number;
  readonly value: number | undefined;
}

/** Something that an operator wants to know when it happens. */
export interface Incident {
  readonly at: number;
  readonly what: string;
  readonly count: number;
}

export class Samples {
  #samples: Sample[] = [];
  #incidents: Incident[] = [];

  get latest(): Sample | undefined {
    return this.#samples.at(-1);
  }

  get incidents(): readonly Incident[] {
    return this.#incidents;
  }

  add(sample: Sample): void {
    const before = this.latest;
    if (before !== undefined && sample.at <= before.at) return;
    this.#samples.push(sample);
    while ((this.#samples[0]?.at ?? 0) < sample.at - KEPT_MS) this.#samples.shift();
    if (before === undefined || before.node.name !== sample.node.name) return;
    const now = incidentsOf(sample.node);
    const then = incidentsOf(before.node);
    const fresh = Object.entries(now).flatMap(([what, count]) => {
      const more = count - (then[what] ?? 0);
      return more > 0 ? [{ at: sample.at, what, count: more }] : [];
    });
    this.#incidents = [...fresh, ...this.#incidents].slice(0, MOST_INCIDENTS);
  }

  /** What was there at each moment. */
  levels(name: Counted, scale = 1): Point[] {
    return this.#samples.map(({ at, node }) => ({ at, value: numberOf(node, name) * scale }));
  }

  /** What was counted in each second. */
  rates(name: Counted): Point[] {
    return this.#pairs(
      (node, before, seconds) => (numberOf(node, name) - numberOf(before, name)) / seconds,
    );
  }

  /** How late timers came in the mean, in milliseconds. */
  lags(): Point[] {
    return this.#pairs((node, before) => {
      const timers = numberOf(node, "lag_samples") - numberOf(before, "lag_samples");
      if (timers <= 0) return undefined;
      return (numberOf(node, "lag_us") - numberOf(before, "lag_us")) / timers / 1_000;
    });
  }

  #pairs(
    value: (node: NodeStatus, before: NodeStatus, seconds: number) => number | undefined,
  ): Point[] {
    return this.#samples.slice(1).map(({ at, node }, i) => {
      const before = this.#samples[i] as Sample;
      // Behind a load balancer the next answer may be another node's.
      if (before.node.name !== node.name) return { at, value: undefined };
      return { at, value: value(node, before.node, (at - before.at) / 1_000) };
    });
  }
}

export function numberOf(node: NodeStatus, name: Counted): number {
  return Number(node[name] ?? 0);
}

function incidentsOf(node: NodeStatus): Record<string, number> {
  const gaps = Object.entries(node.gaps ?? {}).map(([reason, count]) => [
    `gap: ${reason}`,
    Number(count),
  ]);
  return {
    ...Object.fromEntries(gaps),
    "slow consumer closed": numberOf(node, "slow_consumers"),
    "internal error": numberOf(node, "internal_errors"),
  };
}
