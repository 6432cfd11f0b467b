/** What is fuzzed, by name: how many frames one step takes, and how many of all are its. */
import type { SeededRandom } from "../../test/support/random.ts";
import { seededRandom } from "../../test/support/random.ts";
import { fuzzDecoders } from "./decoders.ts";
import { fuzzReply } from "./replies.ts";
import { fuzzSessions, SCENE_FRAMES } from "./sessions.ts";

interface Fuzzer {
  readonly share: number;
  readonly frames: number;
  run(random: SeededRandom): void | Promise<void>;
}

export const FUZZERS: Readonly<Record<string, Fuzzer>> = {
  decoders: { share: 0.4, frames: 1, run: fuzzDecoders },
  sessions: { share: 0.35, frames: SCENE_FRAMES, run: fuzzSessions },
  "Redis replies": { share: 0.25, frames: 1, run: fuzzReply },
};

export interface FuzzOptions {
  readonly fuzzer: string;
  readonly seed: number;
  /** The first step, and the first that is not run. */
  readonly from: number;
  readonly to: number;
  /** Breaks this step, to show that a failure is found. */
  readonly plant?: number;
}

/** @throws Error that names fuzzer, seed and step, which have the failure again */
export async function fuzz({ fuzzer, seed, from, to, plant }: FuzzOptions): Promise<number> {
  const { frames, run } = FUZZERS[fuzzer] as Fuzzer;
  for (let step = from; step < to; step++) {
    // Every step has a generator of its own: it can be run without those before it.
    const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b));
    try {
      if (step === plant) throw new Error("planted");
      const running = run(random);
      if (running !== undefined) await running;
    } catch (error) {
      throw new Error(`${fuzzer}: --seed ${seed} --only "${fuzzer}" --step ${step}`, {
        cause: error,
      });
    }
  }
  return (to - from) * frames;
}
