/** A pattern index over a database of its own, with channels, a clock and an alarm that tests move. */
import { SharedAlarm } from "../../src/objects/alarm.ts";
import type { PatternInterest } from "../../src/objects/calls/pattern-interest.ts";
import { PatternIndex } from "../../src/objects/pattern-index/life.ts";
import { SqlPatternStore } from "../../src/worker/pattern-index/store.ts";
import { ManualClock } from "../conformance/log-store-suite.ts";
import { platform } from "../support/platform.ts";
import { type CountingSql, counted, withSql } from "./sql.ts";

export const LEASE_MS = 60_000;
export const MARGIN_MS = 5_000;

export class IndexScene {
  readonly clock = new ManualClock();
  readonly sql: CountingSql;
  index: PatternIndex;
  /** What channels were told, `channel gateway@version` with a `+` for presence, repeated calls included. */
  readonly told: string[] = [];
  /** What happens to a call to a channel; by default it is confirmed. */
  hear: (channel: string) => Promise<void> = async () => {};
  alarmAt: number | undefined;
  alarms = 0;
  #alarm = this.#newAlarm();
  #versions = 0;

  constructor(sql: CountingSql) {
    this.sql = sql;
    this.index = this.#open();
  }

  /** The object is evicted, or reset, and called again. */
  reopen(): void {
    this.#alarm = this.#newAlarm();
    this.#alarm.found(this.alarmAt);
    this.index = this.#open();
  }

  /** Registers under the next version, or the one that is given. */
  async subscribe(gateway: string, pattern: string, more: Partial<Row> = {}): Promise<number> {
    this.#versions += 1;
    const row = { gateway, pattern, version: this.#versions, presence: false, ...more };
    return await this.index.subscribe(row);
  }

  /** Grants a lease and tells who hears, `gateway@version` with a `+` for presence. */
  lease(channel: string, gone: readonly PatternInterest[] = []): string[] {
    return this.index.lease(channel, gone).map(textOf).sort();
  }

  /** Lets the time of the alarm come. Returns whether the object may forget everything. */
  alarm(): boolean {
    if (this.alarmAt === undefined) throw new Error("there is no alarm");
    this.clock.time = Math.max(this.clock.time, this.alarmAt);
    this.alarmAt = undefined;
    this.#alarm.found(undefined);
    return this.index.alarm();
  }

  #newAlarm(): SharedAlarm {
    const storage = {
      setAlarm: (at: number) => {
        this.alarmAt = at;
        this.alarms += 1;
      },
    };
    return new SharedAlarm(storage, { clock: this.clock, logger: { warn: () => {} } });
  }

  #open(): PatternIndex {
    return new PatternIndex({
      platform,
      store: new SqlPatternStore(this.sql),
      clock: this.clock,
      alarm: this.#alarm,
      terms: { leaseMs: LEASE_MS, marginMs: MARGIN_MS },
      tellInterest: async (channel, interest) => {
        this.told.push(`${channel} ${textOf(interest)}`);
        await this.hear(channel);
      },
    });
  }
}

interface Row {
  readonly version: number;
  readonly presence: boolean;
}

function textOf({ gateway, version, presence }: PatternInterest): string {
  return `${gateway}@${version}${presence ? "+" : ""}`;
}

export async function indexScene(run: (scene: IndexScene) => Promise<void>): Promise<void> {
  await withSql((sql) => run(new IndexScene(counted(sql))));
}
