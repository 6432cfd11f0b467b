/**
 * Keeps the frames of one session that name the same channel in order, while frames of other
 * channels run beside them. Publishes share a channel: the broker keeps the order of its calls, so
 * a publish need not wait for the one before. Everything else has the channel to itself.
 */
export class ChannelOrder {
  /** Undefined while nothing is under way, as in most sessions most of the time. */
  #lanes: Map<string, Lane> | undefined;

  /**
   * Runs a task when it may enter all its channels, at once where nothing is in the way. Tasks take
   * their places in all lanes in the same step, so two of them never wait for each other.
   */
  run<T>(channels: readonly string[], kind: LaneKind, task: () => Promise<T>): Promise<T> {
    const [first] = channels;
    // Nearly every task is a publish that nothing is in the way of.
    if (first !== undefined && channels.length === 1 && this.#entered(first, kind)) {
      return this.#perform(channels, task);
    }
    const names = new Set(channels);
    return new Promise<T>((resolve, reject) => {
      let missing = names.size;
      const start = (): void => {
        this.#perform(names, task).then(resolve, reject);
      };
      if (missing === 0) start();
      for (const name of names) {
        this.#enter(name, kind, () => {
          missing -= 1;
          if (missing === 0) start();
        });
      }
    });
  }

  /** Enters a channel where nothing is in the way. Returns whether that is so. */
  #entered(name: string, kind: LaneKind): boolean {
    const lane = this.#lanes?.get(name);
    if (lane === undefined) {
      this.#lanes ??= new Map();
      this.#lanes.set(name, { active: 1, kind, waiting: [] });
      return true;
    }
    if (lane.waiting.length > 0 || lane.kind !== "shared" || kind !== "shared") return false;
    lane.active += 1;
    return true;
  }

  /** Does what has entered its channels, and leaves them whatever becomes of it. */
  async #perform<T>(names: Iterable<string>, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } finally {
      this.#leave(names);
    }
  }

  #enter(name: string, kind: LaneKind, admitted: () => void): void {
    this.#lanes ??= new Map();
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { active: 0, kind, waiting: [] };
      this.#lanes.set(name, lane);
    }
    lane.waiting.push({ kind, admitted });
    admit(lane);
  }

  #leave(names: Iterable<string>): void {
    for (const name of names) {
      const lane = this.#lanes?.get(name);
      if (lane === undefined) continue;
      lane.active -= 1;
      admit(lane);
      if (lane.active === 0) this.#lanes?.delete(name);
    }
    if (this.#lanes?.size === 0) this.#lanes = undefined;
  }
}

/** How a task has its channels: together with others of the kind, or to itself. */
export type LaneKind = "shared" | "exclusive";

interface Lane {
  active: number;
  /** Kind of those active. */
  kind: LaneKind;
  readonly waiting: { readonly kind: LaneKind; readonly admitted: () => void }[];
}

function admit(lane: Lane): void {
  for (;;) {
    const next = lane.waiting[0];
    if (next === undefined) return;
    const free = lane.active === 0 || (lane.kind === "shared" && next.kind === "shared");
    if (!free) return;
    lane.waiting.shift();
    lane.active += 1;
    lane.kind = next.kind;
    next.admitted();
  }
}
