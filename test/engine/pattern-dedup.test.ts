/** What a session with many patterns for one channel costs: as many looks as there are patterns, not their square. */
import { expect, test, vi } from "vitest";
import { SmallMap } from "../../src/channels/small-map.ts";
import { joining, listening } from "./log-broker.ts";

const WORDS = 9;

/** One of the 2^9 patterns that stand for a channel of nine words. */
function pattern(index: number): string {
  return Array.from({ length: WORDS }, (_, bit) => ((index >> bit) & 1 ? "*" : "a")).join(".");
}

test("each session is met once, by looks that grow with the patterns that fit", async () => {
  const scene = await listening();
  const { broker } = scene;
  const clients = [scene.listener, ...(await Promise.all([1, 2, 3].map(() => joining(scene))))];
  const channel = Array(WORDS).fill("a").join(".");
  const looksWith = async (from: number, to: number): Promise<number> => {
    for (const client of clients) {
      for (let i = from; i < to; i++) await client.subscribe({ channel: pattern(i) });
      client.told();
    }
    broker.deliver(1);
    const [entry] = broker.log;
    const looks = ["get", "has"] as const;
    const spies = looks.map((name) => vi.spyOn(SmallMap.prototype, name));
    broker.handler.publications(channel, "e", entry === undefined ? [] : [entry]);
    const count = spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    for (const spy of spies) spy.mockRestore();
    for (const client of clients) expect(client.told()).toEqual(["live e/1"]);
    return count;
  };
  const some = await looksWith(1, 101);
  const twice = await looksWith(101, 201);
  expect(twice).toBeLessThan(3 * some + 1_000);
});
