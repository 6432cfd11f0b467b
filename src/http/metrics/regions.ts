/**
 * What the nodes of a host count that has many and shows them together, by region: a node reports its figures under
 * the names of their series, and sums of them are put together as one page.
 */
import type { EngineStats } from "../../engine/stats.ts";
import { FAMILIES } from "./metrics.ts";
import { type Families, familyHead, renderFamilies, seriesOf } from "./text.ts";

/** Numbers by the names of series, such as `messageloop_recoveries_total{outcome="gap"}`. */
type Series = Readonly<Record<string, number>>;

/** What is known of a region. */
export interface RegionMetrics {
  readonly region: string;
  /** Undefined where the region does not answer. */
  readonly report:
    | {
        /** Nodes that hold anything. */
        readonly gateways: number;
        /** Sums over the nodes. */
        readonly figures: Series;
        /** What was so no later than then is part of it, Unix milliseconds. */
        readonly asOf: number;
      }
    | undefined;
}

/** The series of sessions, which health answers as well. */
const SESSIONS = "messageloop_sessions";

/** What stands beside what the nodes report. */
const REGION_FAMILIES: Families<readonly RegionMetrics[]> = {
  messageloop_region_ready: [
    "1 while the counters of a region answer, 0 while they do not and nothing else is said of it.",
    (regions) =>
      regions.map(({ region, report }) => ({
        labels: { region },
        value: report === undefined ? 0 : 1,
      })),
  ],
  messageloop_region_as_of_timestamp_seconds: [
    "The time up to which what is said of a region is complete, in Unix seconds.",
    (regions) => known(regions, ({ asOf }) => asOf / 1_000),
  ],
  messageloop_gateways: [
    "Gateways that hold anything now, asleep or awake.",
    (regions) => known(regions, ({ gateways }) => gateways),
  ],
};

/** Names of all metrics of such a host. */
export const REGION_METRICS: readonly string[] = [
  ...Object.keys(REGION_FAMILIES),
  ...Object.keys(FAMILIES),
];

/** What a node reports: figures that rise and fall, and those that only rise. */
export function figuresOf(stats: EngineStats): { gauges: Series; counters: Series } {
  const gauges: Record<string, number> = {};
  const counters: Record<string, number> = {};
  for (const [series, value] of seriesOf(FAMILIES, stats)) {
    const { family, suffix } = partsOf(series);
    const rises = family.endsWith("_total") || suffix !== "";
    (rises ? counters : gauges)[series] = value;
  }
  return { gauges, counters };
}

/** All regions as one page. What this version of the program does not know is left out. */
export function renderRegions(regions: readonly RegionMetrics[]): string {
  const lines = new Map<string, string[]>();
  const histograms = new Set<string>();
  for (const { region, report } of regions) {
    for (const [series, value] of Object.entries(report?.figures ?? {})) {
      const { family, suffix, labels } = partsOf(series);
      if (suffix !== "") histograms.add(family);
      const all = [`region="${region}"`, ...(labels === "" ? [] : [labels])].join(",");
      const list = lines.get(family) ?? [];
      list.push(`${family}${suffix}{${all}} ${value}\n`);
      lines.set(family, list);
    }
  }
  const pages = Object.entries(FAMILIES).map(([family, [help]]) => {
    const list = lines.get(family);
    if (list === undefined) return "";
    return familyHead(family, help, histograms.has(family)) + list.join("");
  });
  return renderFamilies(REGION_FAMILIES, regions) + pages.join("");
}

/**
 * How a host is whose regions have reported, as the body of a health answer: times in RFC 3339. It is ready when
 * the counters of every region answer.
 */
export function healthOf(regions: readonly RegionMetrics[]) {
  const each = regions.map(({ region, report }) => ({
    region,
    status: statusOf(report !== undefined),
    as_of: timeOf(report?.asOf),
    gateways: report?.gateways ?? null,
    sessions: report === undefined ? null : (report.figures[SESSIONS] ?? 0),
  }));
  const times = regions.flatMap(({ report }) => report?.asOf ?? []);
  return {
    status: statusOf(times.length === regions.length),
    as_of: timeOf(times.length === 0 ? undefined : Math.min(...times)),
    gateways: sum(each.map(({ gateways }) => gateways ?? 0)),
    sessions: sum(each.map(({ sessions }) => sessions ?? 0)),
    regions: each,
  };
}

function statusOf(ready: boolean): "ready" | "not ready" {
  return ready ? "ready" : "not ready";
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function known(
  regions: readonly RegionMetrics[],
  read: (report: NonNullable<RegionMetrics["report"]>) => number,
) {
  return regions.flatMap(({ region, report }) =>
    report === undefined ? [] : [{ labels: { region }, value: read(report) }],
  );
}

/** The parts of a series: of a histogram the name of its family has a suffix. */
function partsOf(series: string): { family: string; suffix: string; labels: string } {
  const [, name = "", labels = ""] = /^([a-z_]+)(?:\{(.*)\})?$/s.exec(series) ?? [];
  const [, family = name, suffix = ""] = /^(.*)(_bucket|_sum|_count)$/.exec(name) ?? [];
  return Object.hasOwn(FAMILIES, family)
    ? { family, suffix, labels }
    : { family: name, suffix: "", labels };
}
