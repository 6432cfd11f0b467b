/**
 * What a gateway holds and has counted, as it reports it to the counters of its region: once in ten seconds at most while
 * something happens, and a last time soon after that, so that what it has reported holds for as long as it sleeps.
 */
import { Rerun } from "../../engine/background.ts";
import type { RegionReport } from "../../engine/ports/directory.ts";
import type { Incident } from "../../engine/ports/incidents.ts";
import { delay } from "../../engine/ports/timers.ts";
import {
  countAt,
  figuresOf,
  type LoadsAsked,
  REPORT_EVERY_MS,
  type RegionFigures,
} from "../calls/directory-calls.ts";
import { retrying, toDirectory } from "../calls/retry.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { Figures } from "../ports/report-store.ts";
import { Trouble } from "../trouble.ts";

/** How long a report waits for what else happens, in milliseconds: the timer keeps the gateway awake. */
const COLLECT_MS = 1_000;
/** Reports in a row that may fail; then the next event is waited for, so that the gateway can sleep. */
const MAX_FAILURES = 4;

export interface FiguresReporterHost {
  readonly gateway: string;
  readonly region: string;
  /** Names this life of the gateway. */
  readonly life: string;
  readonly calls: Pick<ObjectCalls, "stats">;
  readonly platform: ObjectPlatform;
  /** What there is now, and what there has been since this life began. */
  figures(): { readonly gauges: Figures; readonly counters: Figures };
  /** What this life has met, the newest last. Default nothing. */
  incidents?(): readonly Incident[];
}

export class FiguresReporter {
  readonly #host: FiguresReporterHost;
  readonly #trouble: Trouble;
  readonly #reports: Rerun;
  /** What the counters have of this life. */
  #said: string | undefined;
  /** When the next report may be made, Unix milliseconds. */
  #next = 0;
  /** In a row. */
  #failures = 0;

  constructor(host: FiguresReporterHost) {
    const { clock, logger, timers } = host.platform;
    this.#host = host;
    this.#trouble = new Trouble("reports of gateways", host.platform);
    this.#reports = new Rerun({
      collect: () => delay(timers, Math.max(this.#next - clock.now(), COLLECT_MS)),
      work: () => this.#report(),
      logger,
      what: "a report of a gateway",
    });
  }

  /** Something has happened. It costs nothing where a report is due anyway. */
  changed(): void {
    this.#reports.soon();
  }

  async #report(): Promise<void> {
    const { calls, figures, gateway, incidents, life, platform, region } = this.#host;
    const now = figures();
    const met = incidents?.() ?? [];
    const text = JSON.stringify([now, met]);
    if (text === this.#said) return;
    const time = platform.clock.now();
    this.#next = time + REPORT_EVERY_MS * 2 ** this.#failures;
    const row = { gateway, life, time, ...now };
    try {
      const call = (): Promise<void> => countAt(calls.stats(region), row, met);
      await retrying(call, toDirectory(platform, this.#trouble));
      this.#said = text;
      this.#failures = 0;
    } catch {
      // It was logged, and what has to be said is said later, with what has happened by then.
      this.#failures += 1;
      if (this.#failures < MAX_FAILURES) this.changed();
      else this.#failures = 0;
    }
  }
}

/** Asks the counters of regions, and no gateway. */
export async function reportsOf(
  regions: readonly string[],
  calls: Pick<ObjectCalls, "stats">,
  platform: ObjectPlatform,
  loads?: LoadsAsked,
): Promise<RegionReport[]> {
  const trouble = new Trouble("calls to the directory", platform);
  const ask = async (region: string): Promise<RegionReport> => {
    try {
      const call = (): Promise<RegionFigures> => figuresOf(calls.stats(region), loads);
      return { region, report: await retrying(call, toDirectory(platform, trouble)) };
    } catch {
      // It was logged.
      return { region, report: undefined };
    }
  };
  return await Promise.all(regions.map(ask));
}
