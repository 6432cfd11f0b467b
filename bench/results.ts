/** What was measured, and what it says: costs by row and target, and the ratios of pairs. */
import { Histogram } from "./generator/histogram.ts";
import type { Machine } from "./machine.ts";
import type { CostUnit, Measurement, Row, Saturation } from "./row.ts";
import { type Interval, median, medianInterval } from "./statistics.ts";

export interface Results {
  readonly machine: Machine;
  readonly commit: string;
  /** When it was measured, as ISO 8601. */
  readonly date: string;
  readonly generations: number;
  /** Cores that other programs took meanwhile. */
  readonly others: number;
  readonly rows: readonly RowResult[];
}

export interface RowResult {
  readonly host: string;
  readonly name: string;
  readonly question: string;
  readonly unit: string;
  readonly cost: CostUnit;
  /** Whether its operations are those of publishes. */
  readonly publishes: boolean;
  /** Targets that broke the run in some generation. */
  readonly failed: readonly string[];
  /** By name, our own first. */
  readonly targets: Readonly<Record<string, TargetResult>>;
  /** Our own cost as a share of each other's. */
  readonly ratios: Readonly<Record<string, Interval>>;
}

/** Medians over the generations. */
export interface TargetResult {
  /** Of one operation. */
  readonly cost: number;
  readonly saturation?: Saturation;
  /** In milliseconds, of all generations together. */
  readonly latency?: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** Share of the publishes that left late. */
  readonly late?: number;
  /** Deliveries that came at once. */
  readonly together?: number;
  /** For a million operations. */
  readonly counted?: Readonly<Record<string, number>>;
}

/** Gathers what is measured of a row. */
export class RowMeasurements {
  readonly #host: string;
  readonly #cost: CostUnit;
  readonly #row: Row;
  readonly #targets = new Map<string, Measurement[]>();
  /** Those that the row was measured on. */
  readonly #asked = new Set<string>();

  /** @param targets names in the order of the table, our own first */
  constructor(host: string, cost: CostUnit, row: Row, targets: readonly string[]) {
    this.#host = host;
    this.#cost = cost;
    this.#row = row;
    for (const name of targets) this.#targets.set(name, []);
  }

  add(target: string, measurement: Measurement | Error): void {
    this.#asked.add(target);
    if (!(measurement instanceof Error)) this.#targets.get(target)?.push(measurement);
  }

  /**
   * A target that failed in a generation has no result.
   *
   * @param level of the intervals, as `medianInterval` takes it
   */
  result(generations: number, level?: number): RowResult {
    const { name, question, unit } = this.#row;
    const asked = [...this.#targets].filter(([target]) => this.#asked.has(target));
    const complete = asked.filter(([, taken]) => taken.length === generations);
    const [ours = "", own = []] = [...this.#targets][0] ?? [];
    const others = own.length === generations ? complete.filter(([target]) => target !== ours) : [];
    const ratios = others.map(([target, theirs]) => {
      const ratios = theirs.map((each, i) => ratioOf(own[i], each));
      return [target, medianInterval(ratios, level)] as const;
    });
    return {
      host: this.#host,
      name,
      question,
      unit,
      cost: this.#cost,
      publishes: own[0]?.perPublish !== undefined,
      failed: asked.filter((each) => !complete.includes(each)).map(([target]) => target),
      targets: Object.fromEntries(complete.map(([target, taken]) => [target, summary(taken)])),
      ratios: Object.fromEntries(ratios),
    };
  }
}

/** Of two measurements of one generation: the median of their parts' ratios. */
function ratioOf(own: Measurement | undefined, theirs: Measurement): number {
  const parts = own?.parts ?? [];
  const pairs = (theirs.parts ?? []).flatMap((cost, i) => {
    const part = parts[i];
    return part === undefined ? [] : [part / cost];
  });
  return pairs.length > 0 ? median(pairs) : (own?.cost ?? Number.NaN) / theirs.cost;
}

function summary(taken: readonly Measurement[]): TargetResult {
  const of = (value: (measurement: Measurement) => number | undefined): number | undefined => {
    const values = taken.map(value).filter((each) => each !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  const latency = new Histogram();
  for (const { latency: counts } of taken) {
    if (counts !== undefined) latency.merge(new Histogram(counts));
  }
  const perSecond = of(({ saturation }) => saturation?.perSecond);
  const late = of((each) => each.late);
  const together = of((each) => each.together);
  const counted = Object.keys(taken[0]?.counted ?? {}).map((name) => {
    return [name, of((each) => each.counted?.[name]) ?? Number.NaN] as const;
  });
  return {
    cost: median(taken.map(({ cost }) => cost)),
    ...(perSecond === undefined
      ? {}
      : {
          saturation: {
            perSecond,
            target: of(({ saturation }) => saturation?.target) ?? Number.NaN,
            generator: of(({ saturation }) => saturation?.generator) ?? Number.NaN,
          },
        }),
    ...(latency.count === 0
      ? {}
      : {
          latency: {
            p50: latency.percentile(0.5),
            p99: latency.percentile(0.99),
            p999: latency.percentile(0.999),
          },
        }),
    ...(late === undefined ? {} : { late }),
    ...(together === undefined ? {} : { together }),
    ...(counted.length === 0 ? {} : { counted: Object.fromEntries(counted) }),
  };
}

/** How much worse than a committed ratio a new one may be. */
const TOLERANCE = 1.1;

/** The ratios whose intervals lie beyond what the committed ones allow. */
export function worseThan(committed: Results, { rows }: Results): readonly string[] {
  return rows.flatMap(({ name, ratios }) => {
    const before = committed.rows.find((row) => row.name === name)?.ratios ?? {};
    return Object.entries(ratios).flatMap(([target, { low }]) => {
      const allowed = (before[target]?.median ?? Number.POSITIVE_INFINITY) * TOLERANCE;
      if (low <= allowed) return [];
      return [`${name}: at least ${low.toFixed(2)} of ${target}, allowed is ${allowed.toFixed(2)}`];
    });
  });
}
