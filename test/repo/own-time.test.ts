/** The time that a process has had itself. */
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { ownTime } from "../support/own-time.ts";

test("what passes while the process has no turn is hardly counted, and the rest is", async () => {
  const time = ownTime();
  const before = time.ms();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  expect(time.ms() - before).toBeLessThan(100);
  await eventually(() => time.ms() - before > 300);
  time.stop();
});
