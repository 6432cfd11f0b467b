/** What the counters of a region keep: how each channel was when it reported last, and each gateway. */
import type { NameRange } from "../../channels/name-order.ts";
import type { Incident } from "../../engine/ports/incidents.ts";

export interface ReportRow {
  readonly channel: string;
  readonly members: number;
  /** Until when the channel is listed, Unix milliseconds; undefined while there are subscribers. */
  readonly until: number | undefined;
}

/** Numbers by the names of figures. */
export type Figures = Readonly<Record<string, number>>;

/** One gateway, as it has reported last. */
export interface GatewayCounts {
  readonly gateway: string;
  /** Which of its lives that was. */
  readonly life: string;
  /** When, Unix milliseconds by the clock of the gateway. */
  readonly time: number;
  /** What it held. */
  readonly gauges: Figures;
  /** What that life had counted. */
  readonly counters: Figures;
  /** What the lives before it had counted. */
  readonly before: Figures;
}

export interface ReportStore {
  save(row: ReportRow): void;
  /** Rows of names after one and inside a range, in the order of the names, at most so many. */
  list(after: string, range: NameRange, limit: number): Iterable<ReportRow>;
  /** Forgets channels that are listed no more at a time, Unix milliseconds. */
  dropOver(time: number): void;
  /** When the first of those that have an end is listed no more, Unix milliseconds; undefined where none has. */
  firstEnd(): number | undefined;
  saveCounts(row: GatewayCounts): void;
  /** The rows of all gateways, at most as many as a region can have. */
  counts(): Iterable<GatewayCounts>;
  /** What a gateway has met, in the place of what stood there; the newest last. */
  saveIncidents(gateway: string, incidents: readonly Incident[]): void;
  /** Of each gateway that has met anything. */
  incidents(): ReadonlyMap<string, readonly Incident[]>;
  /** Whether there is no row of a channel or a gateway. */
  readonly empty: boolean;
}
