/** What nodes have done over the last hour, from how their counters stood each few seconds. It is kept while the page is open. */
import type { Counted, NodeStatus, NodesPage } from "./server-api.ts";

const KEPT_MS = 60 * 60 * 1_000;

/** How the nodes were at one moment. */
interface Sample {
  /** When it was taken, Unix milliseconds by the server's clock. */
  readonly at: number;
  readonly nodes: ReadonlyMap<string, NodeStatus>;
}

/** A place on a curve; undefined where nothing is known, or a node began again. */
export interface Point {
  readonly at: number;
  readonly value: number | undefined;
}

export class Samples {
  #samples: Sample[] = [];
  #page: NodesPage | undefined;
  #problem: string | undefined;

  /** The last answer. */
  get page(): NodesPage | undefined {
    return this.#page;
  }

  /** Why there was no answer the last time. */
  get problem(): string | undefined {
    return this.#problem;
  }

  add(page: NodesPage): void {
    const at = Number(page.as_of);
    const { nodes = [] } = page;
    this.#problem = undefined;
    const last = this.#samples.at(-1);
    if (last !== undefined && at <= last.at) return;
    this.#page = page;
    this.#samples.push({ at, nodes: new Map(nodes.map((node) => [node.name, node])) });
    while ((this.#samples[0]?.at ?? 0) < at - KEPT_MS) this.#samples.shift();
  }

  failed(problem: string): void {
    this.#problem = problem;
  }

  /** What all nodes together had at each moment. */
  levels(name: Counted): Point[] {
    return this.#samples.map(({ at, nodes }) => ({
      at,
      value: sum([...nodes.values()].map((node) => numberOf(node, name))),
    }));
  }

  /** What each of them has of the same thing, as threads do of the memory of their process. */
  shared(name: Counted): Point[] {
    return this.#samples.map(({ at, nodes }) => ({
      at,
      value: Math.max(0, ...[...nodes.values()].map((node) => numberOf(node, name))),
    }));
  }

  /** What all nodes together have counted in each second. */
  rates(name: Counted): Point[] {
    return this.#pairs((pairs, seconds) => risen(pairs, name) / seconds);
  }

  /** What one node has counted in a second between the last two looks. */
  rate(node: string, name: Counted): number | undefined {
    const [before, last] = this.#samples.slice(-2);
    const pair = [before?.nodes.get(node), last?.nodes.get(node)] as const;
    if (before === undefined || last === undefined || !isPair(pair)) return undefined;
    return (risen([pair], name) * 1_000) / (last.at - before.at);
  }

  /** How late timers came in the mean, in milliseconds. */
  lags(): Point[] {
    return this.#pairs((pairs) => {
      const timers = risen(pairs, "lag_samples");
      return timers <= 0 ? undefined : risen(pairs, "lag_us") / timers / 1_000;
    });
  }

  #pairs(value: (pairs: readonly Pair[], seconds: number) => number | undefined): Point[] {
    return this.#samples.slice(1).map(({ at, nodes }, i) => {
      const before = this.#samples[i] as Sample;
      // After a load balancer the next answer may be another process's.
      const pairs = [...nodes]
        .map(([name, node]) => [before.nodes.get(name), node] as const)
        .filter(isPair);
      if (pairs.length === 0 && nodes.size > 0) return { at, value: undefined };
      return { at, value: value(pairs, (at - before.at) / 1_000) };
    });
  }
}

/** A node at two moments. */
type Pair = readonly [before: NodeStatus, now: NodeStatus];

function isPair(pair: readonly [NodeStatus | undefined, NodeStatus | undefined]): pair is Pair {
  return pair[0] !== undefined && pair[1] !== undefined;
}

function risen(pairs: readonly Pair[], name: Counted): number {
  return sum(pairs.map(([before, now]) => numberOf(now, name) - numberOf(before, name)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

export function numberOf(node: NodeStatus, name: Counted): number {
  return Number(node[name] ?? 0);
}
