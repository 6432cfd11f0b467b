/** What every object needs of the machine that it runs on. */
import type { Clock, Logger, Timers } from "../../engine/ports/platform.ts";

export interface ObjectPlatform {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}
