/** Questions that many ask at once. */
import { expect, test } from "vitest";
import { SharedCall } from "../../src/engine/background.ts";
import { settled } from "./log-broker.ts";

/** A call whose answers are in the hand of the test. */
function scene() {
  const calls: PromiseWithResolvers<number>[] = [];
  const shared = new SharedCall(() => {
    const call = Promise.withResolvers<number>();
    calls.push(call);
    return call.promise;
  });
  return { calls, shared };
}

test("those who ask while one is under way share the next one", async () => {
  const { calls, shared } = scene();
  const first = shared.ask();
  const others = [shared.ask(), shared.ask(), shared.ask()];
  expect(calls).toHaveLength(1);
  calls[0]?.resolve(1);
  expect(await first).toBe(1);
  await settled();
  expect(calls).toHaveLength(2);
  const late = shared.ask();
  calls[1]?.resolve(2);
  expect(await Promise.all(others)).toEqual([2, 2, 2]);
  await settled();
  expect(calls).toHaveLength(3);
  calls[2]?.resolve(3);
  expect(await late).toBe(3);
  await settled();
  const alone = shared.ask();
  expect(calls).toHaveLength(4);
  calls[3]?.resolve(4);
  expect(await alone).toBe(4);
});

test("a call that fails fails for those who share it", async () => {
  const { calls, shared } = scene();
  const first = shared.ask();
  const second = shared.ask();
  const failure = new Error("away");
  calls[0]?.reject(failure);
  await expect(first).rejects.toBe(failure);
  await settled();
  calls[1]?.resolve(2);
  expect(await second).toBe(2);
});
