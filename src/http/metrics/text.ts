/** The text format 0.0.4 of Prometheus: families of samples out of tables. */
import { DURATION_BUCKETS, type HistogramStats } from "../../engine/counters.ts";

/** The type of the text, as scrapers expect it. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export interface Sample {
  /** What stands after the family's name; only histograms have any. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The figures of a source, by their names. */
type Figure<Source> = {
  [Name in keyof Source & string]: Source[Name] extends number ? Name : never;
}[keyof Source & string];

/**
 * Metrics by their names, and how to read each off its source: the name of a figure there, or a function; no samples
 * leave it out. The name of a counter, and of nothing else, ends in `_total`.
 */
export type Families<Source> = Readonly<
  Record<
    string,
    readonly [help: string, read: Figure<Source> | ((source: Source) => number | readonly Sample[])]
  >
>;

/**
 * The text of families, each with its samples at this moment. One without samples is left out.
 *
 * @example
 * renderFamilies({ app_jobs_total: ["Jobs that are done.", "jobs"] }, { jobs: 3 });
 * // # HELP app_jobs_total Jobs that are done.
 * // # TYPE app_jobs_total counter
 * // app_jobs_total 3
 */
export function renderFamilies<Source>(families: Families<Source>, source: Source): string {
  return Object.entries(families)
    .map(([name, [help, read]]) => {
      const samples = samplesOf(read, source);
      if (samples.length === 0) return "";
      const lines = samples.map((sample) => `${seriesName(name, sample)} ${sample.value}\n`);
      const histogram = samples.some(({ suffix }) => suffix !== undefined);
      return familyHead(name, help, histogram) + lines.join("");
    })
    .join("");
}

/** Each series with its value, by the name that it has in the text, labels included. */
export function seriesOf<Source>(families: Families<Source>, source: Source): [string, number][] {
  return Object.entries(families).flatMap(([name, [, read]]) =>
    samplesOf(read, source).map((sample): [string, number] => [
      seriesName(name, sample),
      sample.value,
    ]),
  );
}

/** What stands before the samples of a family. */
export function familyHead(name: string, help: string, histogram: boolean): string {
  const gauge = histogram ? "histogram" : "gauge";
  const type = name.endsWith("_total") ? "counter" : gauge;
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function samplesOf<Source>(read: Families<Source>[string][1], source: Source): readonly Sample[] {
  const value = typeof read === "function" ? read(source) : Number(source[read]);
  return typeof value === "number" ? [{ value }] : value;
}

function seriesName(name: string, { suffix = "", labels = {} }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  const braces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${name}${suffix}${braces}`;
}

/** A bucket of the text format counts everything up to its bound. */
export function histogram(
  labels: Readonly<Record<string, string>>,
  { buckets, count, sum }: HistogramStats,
): Sample[] {
  let below = 0;
  const cumulative = DURATION_BUCKETS.map((bound, bucket) => {
    below += buckets[bucket] ?? 0;
    return { suffix: "_bucket", labels: { ...labels, le: `${bound}` }, value: below };
  });
  return [
    ...cumulative,
    { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count },
    { suffix: "_sum", labels, value: sum },
    { suffix: "_count", labels, value: count },
  ];
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
