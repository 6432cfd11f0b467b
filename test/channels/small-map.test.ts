/** A small map does what a Map does, whatever it holds. */
import { expect, test } from "vitest";
import { SmallMap } from "../../src/channels/small-map.ts";
import { seededRandom } from "../support/random.ts";

test("random calls answer as those of a Map", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 200; round++) {
    const small = new SmallMap<string, number>();
    const map = new Map<string, number>();
    for (let step = 0; step < 30; step++) {
      const key = `k${random.int(4)}`;
      if (random.chance(0.5)) {
        small.set(key, step);
        map.set(key, step);
      } else expect(small.delete(key)).toBe(map.delete(key));
      expect(small.size).toBe(map.size);
      expect([small.has(key), small.get(key)]).toEqual([map.has(key), map.get(key)]);
      expect([...small]).toEqual([...map]);
      expect([[...small.keys()], [...small.values()]]).toEqual([
        [...map.keys()],
        [...map.values()],
      ]);
    }
  }
});

test("an entry may go while the map is iterated", () => {
  for (const keys of [["a"], ["a", "b", "c"]]) {
    const small = new SmallMap<string, number>();
    for (const key of keys) small.set(key, 1);
    const met: string[] = [];
    for (const [key] of small) {
      met.push(key);
      small.delete(key);
    }
    expect(met).toEqual(keys);
    expect(small.size).toBe(0);
  }
});
