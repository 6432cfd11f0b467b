/** What a check says: what it did, each verdict with its figure, and at the end whether all of them held. */

export class Report {
  readonly #name: string;
  readonly #started = performance.now();
  readonly #broken: string[] = [];
  #verdicts = 0;

  constructor(name: string) {
    this.#name = name;
  }

  get broken(): readonly string[] {
    return this.#broken;
  }

  /** A line about what happens. */
  say(text: string): void {
    const seconds = ((performance.now() - this.#started) / 1_000).toFixed(0);
    console.log(`${this.#name} ${seconds.padStart(4)} s  ${text}`);
  }

  /** A verdict: the text says what was measured and what is allowed. */
  expect(holds: boolean, text: string): void {
    this.#verdicts += 1;
    if (!holds) this.#broken.push(text);
    this.say(`${holds ? "holds " : "BROKEN"}  ${text}`);
  }

  /** A part of the check; what it throws breaks the check and not the other parts. */
  async part(name: string, run: () => Promise<void>): Promise<void> {
    this.say(`begins  ${name}`);
    try {
      await run();
    } catch (error) {
      this.expect(
        false,
        `${name}: ${error instanceof Error ? (error.stack ?? "") : String(error)}`,
      );
    }
  }

  /** Says how it ended, and sets the exit code: 1 unless there was a verdict and all of them held. */
  end(): void {
    const failed = this.#broken.length > 0 || this.#verdicts === 0;
    for (const text of this.#broken) this.say(`BROKEN  ${text}`);
    this.say(failed ? "FAILED" : `passed: ${this.#verdicts} verdicts hold`);
    process.exitCode = failed ? 1 : 0;
  }
}

/** The value at a share of the sorted values, such as 0.99. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
