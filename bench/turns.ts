/** Measurements that take turns: whatever the machine does for some seconds meets all of them. */

/** Waits until it is this measurement's turn again. */
export type Turn = () => Promise<void>;

/**
 * Runs all of them, one at a time: each until it ends or asks for its next turn. The order turns back after every round,
 * so that none is always the first.
 *
 * @returns their results in their order
 */
export async function inTurns<T>(runs: readonly ((turn: Turn) => Promise<T>)[]): Promise<T[]> {
  const all = runs.map((run) => new Paused(run));
  let round = all;
  while (round.length > 0) {
    for (const one of round) await one.next();
    round = round.filter(({ ended }) => !ended).reverse();
  }
  return await Promise.all(all.map(({ result }) => result));
}

class Paused<T> {
  readonly result: Promise<T>;
  ended = false;
  #go: () => void = () => {};
  #stopped: () => void = () => {};

  constructor(run: (turn: Turn) => Promise<T>) {
    const turn: Turn = () => {
      this.#stopped();
      return new Promise((resolve) => {
        this.#go = resolve;
      });
    };
    this.result = turn()
      .then(() => run(turn))
      .finally(() => {
        this.ended = true;
        this.#stopped();
      });
    // It may fail long before it is asked for.
    this.result.catch(() => {});
  }

  /** Goes on until it ends or pauses. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stopped = resolve;
      this.#go();
    });
  }
}
