/** Lifecycle hooks of one node: what happens goes into the outbox, and from there to the backends. */
import type {
  Lifecycle,
  LifecycleEvent,
  LifecycleKind,
  LifecycleStats,
} from "../engine/ports/lifecycle.ts";
import { Courier, type CourierHost, type HookBackend } from "./courier.ts";
import type { Outbox } from "./outbox.ts";

/** Which lifecycle events go to which backend. */
export interface HookTargets {
  /** The kinds that some backend takes. */
  readonly kinds: ReadonlySet<LifecycleKind>;
  /** An event goes to the first that takes it. */
  readonly backends: readonly HookBackend[];
}

export interface HooksOptions extends HookTargets, Omit<CourierHost, "outbox" | "unwanted"> {
  readonly outbox: Outbox;
}

/**
 * @example
 * const targets = configuredHooks(config, teller);
 * const hooks = new Hooks({ ...targets, ...platform, outbox: new MemoryOutbox(), chance: Math.random });
 * hooks.record([event]); // kept when it returns; a courier brings it to its backend
 * await hooks.emptied();
 */
export class Hooks implements Lifecycle {
  readonly kinds: ReadonlySet<LifecycleKind>;
  readonly #options: HooksOptions;
  readonly #couriers: readonly Courier[];
  /** Callers that wait until no event waits. */
  #emptied: (() => void)[] = [];

  constructor(options: HooksOptions) {
    const { backends, kinds, outbox } = options;
    this.#options = options;
    // It learns by the beginning of a session or a channel that there will be an end to report.
    const learned: LifecycleKind[] = [];
    if (kinds.has("disconnected")) learned.push("connected");
    if (kinds.has("occupied") || kinds.has("vacated")) learned.push("occupied", "vacated");
    this.kinds = outbox.remembers ? new Set([...kinds, ...learned]) : kinds;
    const heard = (event: LifecycleEvent): boolean => kinds.has(event.kind);
    const first = (event: LifecycleEvent): HookBackend | undefined =>
      heard(event) ? backends.find((backend) => backend.takes(event)) : undefined;
    const host: CourierHost = {
      ...options,
      unwanted: (event) => first(event) === undefined,
      outbox: {
        read: (after, limit) => outbox.read(after, limit),
        remove: (rows) => {
          outbox.remove(rows);
          this.#look();
        },
      },
    };
    this.#couriers = backends.map(
      (backend) => new Courier(host, { ...backend, takes: (event) => first(event) === backend }),
    );
    outbox.listen?.(() => this.wake());
  }

  get stats(): LifecycleStats {
    const sum = (count: (courier: Courier) => number): number =>
      this.#couriers.reduce((total, courier) => total + count(courier), 0);
    const { outbox } = this.#options;
    return {
      waiting: outbox.size,
      delivered: sum(({ delivered }) => delivered),
      failures: sum(({ failed }) => failed),
      overflowed: outbox.overflowed,
      expired: sum(({ expired }) => expired),
    };
  }

  record(events: readonly LifecycleEvent[]): Promise<void> | undefined {
    const kept = this.#options.outbox.add(events);
    if (kept === undefined) this.wake();
    return kept;
  }

  /** There may be events that are not of this life, or that it did not learn of. */
  wake(): void {
    for (const courier of this.#couriers) courier.wake();
  }

  /** Resolves when nothing waits any more. */
  async emptied(): Promise<void> {
    if (this.#options.outbox.size === 0) return;
    await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }

  /** Brings nothing more. */
  end(): void {
    for (const courier of this.#couriers) courier.end();
  }

  #look(): void {
    if (this.#options.outbox.size > 0) return;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }
}
