/**
 * A gateway's alarm, which is stored for the earliest of what it is needed for. Storage is asked once a life and once
 * an alarm whether there is one: everything that the gateway writes down asks for it.
 */
import { background } from "../../engine/background.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import { retryPause } from "../../objects/alarm.ts";
import { clock } from "../platform.ts";

/** Shortest time to the next alarm, in milliseconds. */
const MIN_ALARM_MS = 1_000;

export interface GatewayAlarmHost {
  readonly storage: Pick<DurableObjectStorage, "getAlarm" | "setAlarm">;
  readonly logger: Logger;
  /** After how long an alarm comes that is needed for nothing sooner, in milliseconds. */
  readonly sweepMs: number;
}

export class GatewayAlarm {
  readonly #host: GatewayAlarmHost;
  /** An alarm is stored. */
  #known = false;
  /** Alarms in a row that have failed. */
  #failures = 0;

  constructor(host: GatewayAlarmHost) {
    this.#host = host;
  }

  /** Makes sure that an alarm is stored. */
  ensure(): void {
    if (this.#known) return;
    this.#known = true;
    background(this.#store(), this.#host.logger, "a gateway's alarm");
  }

  /** Makes sure that the alarm comes by a time, Unix milliseconds. */
  by(at: number): void {
    background(this.#storeSooner(at), this.#host.logger, "a gateway's alarm");
  }

  /**
   * The alarm has come.
   *
   * @param work returns when the next alarm has something to do, Unix milliseconds; undefined when it has not
   */
  async come(work: () => Promise<number | undefined>): Promise<void> {
    // While it runs nobody else need store one: whatever comes meanwhile is seen at its end.
    this.#known = true;
    let due: number | undefined;
    try {
      due = await work();
      this.#failures = 0;
    } catch (error) {
      // The runtime would give up after some tries.
      this.#failures += 1;
      due = clock.now() + retryPause(this.#failures);
      const fields = { error: String(error), failures: this.#failures };
      this.#host.logger.warn("an alarm failed", fields);
    }
    this.#known = false;
    if (due === undefined) return;
    await this.#host.storage.setAlarm(Math.max(due, clock.now() + MIN_ALARM_MS));
    this.#known = true;
  }

  async #store(): Promise<void> {
    const { storage, sweepMs } = this.#host;
    try {
      const at = await storage.getAlarm();
      if (at === null) await storage.setAlarm(clock.now() + sweepMs);
    } catch (error) {
      this.#known = false;
      throw error;
    }
  }

  async #storeSooner(at: number): Promise<void> {
    const { storage } = this.#host;
    const stored = await storage.getAlarm();
    const due = Math.max(at, clock.now() + MIN_ALARM_MS);
    if (stored === null || stored > due) await storage.setAlarm(due);
    this.#known = true;
  }
}
