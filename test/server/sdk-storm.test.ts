/** The short form of the storm of `npm run check:sdk`. Its share of 1,000 clients is that of test/client/core/storm.test.ts as well. */
import { expect, test } from "vitest";
import { densest, storm } from "../../checks/sdk/storm.ts";

const CLIENTS = 100;

test("clients that are cut at once all come back, hear what is published then once, and do not come before they may", async () => {
  for (const { name, early, tries } of await storm({ clients: CLIENTS })) {
    expect(tries, name).toBeGreaterThanOrEqual(CLIENTS);
    expect(early, name).toBe(0);
  }
});

test.each([
  [[], 0],
  [[5], 1],
  [[250, 0, 100, 99.9, 50], 3],
  [[0, 100, 200, 300], 1],
  [[0, 90, 110, 120, 189, 300], 4],
])("of %j the fullest 100 ms hold %i", (times, most) => {
  expect(densest(times)).toBe(most);
});
