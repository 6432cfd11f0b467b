/** All scenes, at one size. */
import { readFileSync } from "node:fs";
import type { Results } from "../../bench/results.ts";
import { seededRandom } from "../../test/support/random.ts";
import type { SceneResult, SimulationResults } from "./results.ts";
import { manyChannels, oneChannel, type SimulationSize, storms } from "./scenes.ts";
import { turnTimesOf } from "./turn-times.ts";

export const WHOLE: SimulationSize = {
  sizes: [1, 9, 18, 36, 72, 144, 288, 500],
  gateways: 500,
  subscribers: 2_000,
  channels: 100_000,
  everyMs: 500,
};

export interface SimulationOptions {
  readonly seed: number;
  readonly plant: boolean;
  /** Called with what has been simulated. */
  done?(scene: SceneResult): void;
}

/** The same seed has the same results, bit by bit. */
export async function simulate(
  { channels, everyMs, gateways, sizes, subscribers }: SimulationSize,
  { done, plant, seed }: SimulationOptions,
): Promise<SimulationResults> {
  const text = readFileSync(new URL("../../bench/results.json", import.meta.url), "utf8");
  const measured = JSON.parse(text) as Results;
  const { commit, date } = measured;
  const times = turnTimesOf(measured);
  const scenes: SceneResult[] = [];
  for (const relays of [false, true]) {
    const terms = { seed, times, relays, plant };
    // Relays have nothing to do with how many channels there are, and a tenth takes a tenth of the time.
    const rooms = [...(relays ? [] : [channels]), Math.ceil(channels / 10)];
    const all = [
      ...sizes.map((size) => () => oneChannel(terms, { gateways: size, subscribers })),
      () => storms(terms, { everyMs, gateways, subscribers }),
      ...rooms.map((some) => () => manyChannels(terms, { subscribers, channels: some })),
    ];
    for (const scene of all) {
      const result = await seeded(seed, scene);
      done?.(result);
      scenes.push(result);
    }
  }
  return { seed, bench: { commit, date, times }, scenes };
}

/** The objects draw how long they pause before they call again. What they draw does not depend on other scenes. */
async function seeded<T>(seed: number, scene: () => Promise<T>): Promise<T> {
  const { random } = Math;
  Math.random = seededRandom(seed).next;
  try {
    return await scene();
  } finally {
    Math.random = random;
  }
}
