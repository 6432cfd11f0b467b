/**
 * Randomness for tests that can be had again: every number follows from a seed, and a failure says
 * which seed and step it had. MESSAGELOOP_TEST_SEED repeats a run, MESSAGELOOP_TEST_SCALE makes it
 * longer or shorter.
 */

export interface SeededRandom {
  /** From 0 up to, and not including, 1. */
  next(): number;
  /** A whole number from 0 up to, and not including, the bound. */
  int(below: number): number;
  /** One of the items, of which there must be one. */
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** True with this probability. */
  chance(probability: number): boolean;
}

const DEFAULT_SEED = 20_240_229;

export function seededRandom(seed: number): SeededRandom {
  // Mulberry32: short, and even enough for choosing test inputs.
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number) => Math.floor(next() * below);
  return {
    next,
    int,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError("there is nothing to pick from");
      return items[int(items.length)] as T;
    },
    bytes: (length) => Uint8Array.from({ length }, () => int(256)),
    chance: (probability) => next() < probability,
  };
}

/** How many steps a test takes that takes `base` by default. */
export function steps(base: number): number {
  const text = environment("MESSAGELOOP_TEST_SCALE") ?? "1";
  const scale = Number(text);
  if (!(scale > 0 && scale < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`MESSAGELOOP_TEST_SCALE must be a positive number and is "${text}".`);
  }
  return Math.max(1, Math.round(base * scale));
}

/** The seed of this run. */
export function seed(): number {
  const text = environment("MESSAGELOOP_TEST_SEED");
  if (text === undefined) return DEFAULT_SEED;
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
    throw new RangeError(
      `MESSAGELOOP_TEST_SEED must be a whole number of 32 bits and is "${text}".`,
    );
  }
  return value;
}

/**
 * Runs a body for each of `steps(base)` steps. Every step has its own generator, which follows from
 * seed and step alone, so that a failing step can be run without those before it.
 */
export function eachStep(base: number, body: (random: SeededRandom, step: number) => void): void {
  const [count, first] = [steps(base), seed()];
  for (let step = 0; step < count; step++) {
    try {
      body(seededRandom(Math.imul(first, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b)), step);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`MESSAGELOOP_TEST_SEED=${first}, step ${step}: ${reason}`, { cause: error });
    }
  }
}

/** A variable of the environment; hosts without a process have none. */
function environment(name: string): string | undefined {
  const host = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return host.process?.env?.[name];
}
