/** Servers of tests that run at the same time never get each other's ports. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const TAKER = fileURLToPath(new URL("ports-taker.ts", import.meta.url));
const EACH = 200;

test("a port is told to one process alone, while nobody listens on it yet", async () => {
  // Of 5,000 ports, 600 taken without looking at the others' would hold some 35 of them twice.
  const takers = [1, 2, 3].map(() => fork(TAKER, [`${EACH}`]));
  const taken = await Promise.all(
    takers.map(async (taker) => {
      const [ports] = (await once(taker, "message")) as [number[]];
      return ports;
    }),
  );
  for (const taker of takers) taker.kill();
  expect(new Set(taken.flat()).size).toBe(3 * EACH);
});
