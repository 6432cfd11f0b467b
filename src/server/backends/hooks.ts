/** Lifecycle hooks of this process: where their events wait, and what becomes of them when it stops. */
import type { HostCapabilities } from "../../engine/capabilities.ts";
import type { Clock, Logger } from "../../engine/ports/platform.ts";
import { Hooks, type HookTargets } from "../../hooks/hooks.ts";
import type { Outbox } from "../../hooks/outbox.ts";
import { idleTimers, random } from "../platform.ts";

/** What hooks need of the server around them. */
export interface ServerHooksHost {
  readonly capabilities: HostCapabilities;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The lifecycle hooks of one process. Where nothing keeps its events for another process, `end` waits for them to arrive. */
export class ServerHooks {
  readonly lifecycle: Hooks;
  /** Whether others go on with what this process leaves. */
  readonly #kept: boolean;

  constructor(
    targets: HookTargets,
    outbox: Outbox,
    { capabilities, clock, logger }: ServerHooksHost,
  ) {
    this.#kept = capabilities.keepsLifecycleEvents;
    if (!this.#kept) {
      // What an operator has to know before the process is killed, and not after.
      logger.info?.("lifecycle events wait in memory, and those that wait end with the process");
    }
    this.lifecycle = new Hooks({
      ...targets,
      outbox,
      clock,
      timers: idleTimers,
      random,
      logger,
      chance: Math.random,
    });
  }

  /** Nothing more happens. Resolves when all has arrived that would be lost, or the time is over. */
  async end(timeoutMs: number): Promise<void> {
    if (!this.#kept) {
      let cancel = (): void => {};
      const late = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        cancel = () => clearTimeout(timer);
      });
      await Promise.race([this.lifecycle.emptied(), late]);
      cancel();
    }
    this.lifecycle.end();
  }
}
