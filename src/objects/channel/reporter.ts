/**
 * Reports to the counters of a region that the channel exists, and how many members it has, so that channels can be
 * listed while they sleep. A change is reported once in ten seconds at most. That a channel is published to moves only
 * the time up to which it is listed, which is reported with so much to spare that a busy channel hardly ever reports;
 * and what was said is kept, so that a channel that wakes says nothing twice.
 */
import { Rerun } from "../../engine/background.ts";
import { delay } from "../../engine/ports/timers.ts";
import { REPORT_EVERY_MS, reportTo } from "../calls/directory-calls.ts";
import { retrying, toDirectory } from "../calls/retry.ts";
import type { ObjectCalls } from "../ports/calls.ts";
import type { Reported, ReportedStore } from "../ports/channel-store.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import { Trouble } from "../trouble.ts";

/** The part of a channel's position ttl that it may be listed for longer. */
const SPARE_PART = 1 / 64;
/** Reports in a row that may fail; then the next change is waited for, so that the object can sleep. */
const MAX_FAILURES = 4;

/** What the reporter needs from the channel around it. */
export interface ReporterHost {
  readonly channel: string;
  readonly positionTtlMs: number;
  readonly store: ReportedStore;
  readonly calls: Pick<ObjectCalls, "stats">;
  /** How many members there are; they may have to be read. */
  members(): number;
  /** When no client may ask for the past any more, Unix milliseconds; undefined while there are subscribers. */
  due(): number | undefined;
  readonly platform: ObjectPlatform;
}

export class ChannelReporter {
  readonly #host: ReporterHost;
  readonly #trouble: Trouble;
  /** What is kept; undefined until it was read. */
  #kept: { reported: Reported | undefined } | undefined;
  /** When the next report may be made, Unix milliseconds. */
  #next = 0;
  /** In a row. */
  #failures = 0;
  readonly #reports: Rerun;
  #over = false;

  constructor(host: ReporterHost) {
    const { clock, logger, timers } = host.platform;
    this.#host = host;
    this.#trouble = new Trouble("reports of channels", host.platform);
    this.#reports = new Rerun({
      collect: () => delay(timers, Math.max(this.#next - clock.now(), 0)),
      work: () => this.#report(),
      logger,
      what: "a report of a channel",
    });
  }

  /** Members or subscribers have come or gone. `region` is that of the caller; undefined where there is none. */
  changed(region?: string): void {
    this.#learn(region);
    this.#reportSoon();
  }

  /** Something was published, from a region. */
  published(region: string): void {
    this.#learn(region);
    const due = this.#host.due();
    // While somebody is subscribed it is listed anyway.
    if (due !== undefined && due >= (this.#reported?.said?.until ?? 0)) this.#reportSoon();
  }

  /**
   * The channel is about to be forgotten, and is listed no more. Under any settings: it may have
   * reported when they were others.
   *
   * @throws MessagingError UNAVAILABLE where that has to be tried again
   */
  async end(): Promise<void> {
    const reported = this.#reported;
    if (reported === undefined) return;
    await this.#send(reported.region, { members: 0, until: this.#host.platform.clock.now() });
  }

  /** This life of the channel is over: nothing more is reported. */
  stop(): void {
    this.#over = true;
  }

  /** The channel reports to the region of its first caller, for good: what another knows would stay there. */
  #learn(region = ""): void {
    if (region === "" || this.#reported !== undefined) return;
    this.#keep({ region, said: undefined });
  }

  #reportSoon(): void {
    if (!this.#over && this.#reported !== undefined) this.#reports.soon();
  }

  async #report(): Promise<void> {
    try {
      await this.#reportChange();
      this.#failures = 0;
    } catch {
      // It was logged, and what has to be said is said later, with what has changed by then.
      this.#failures += 1;
      if (this.#failures < MAX_FAILURES) this.#reportSoon();
    }
  }

  async #reportChange(): Promise<void> {
    const reported = this.#reported;
    if (reported === undefined || this.#over) return;
    const { positionTtlMs } = this.#host;
    const [members, due] = [this.#host.members(), this.#host.due()];
    const { said } = reported;
    const known = said !== undefined && said.members === members;
    if (
      known &&
      (due === undefined) === (said.until === undefined) &&
      (due ?? 0) <= (said.until ?? 0)
    )
      return;
    const spare = Math.max(positionTtlMs * SPARE_PART, REPORT_EVERY_MS);
    const row = { members, until: due === undefined ? undefined : Math.ceil(due + spare) };
    const pause = REPORT_EVERY_MS * 2 ** Math.min(this.#failures, MAX_FAILURES);
    this.#next = this.#host.platform.clock.now() + pause;
    await this.#send(reported.region, row);
    if (!this.#over) this.#keep({ ...reported, said: row });
  }

  async #send(region: string, row: NonNullable<Reported["said"]>): Promise<void> {
    const { calls, channel, platform } = this.#host;
    await retrying(
      () => reportTo(calls.stats(region), { channel, ...row }),
      toDirectory(platform, this.#trouble),
    );
  }

  #keep(reported: Reported): void {
    this.#host.store.save(reported);
    this.#kept = { reported };
  }

  get #reported(): Reported | undefined {
    this.#kept ??= { reported: this.#host.store.read() };
    return this.#kept.reported;
  }
}
