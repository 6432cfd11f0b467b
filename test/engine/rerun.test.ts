/** Work that is asked for again while it runs: no request is lost, and no run begins beside another. */
import { expect, test } from "vitest";
import { Rerun } from "../../src/engine/background.ts";

/** A Rerun whose work counts what it has found to do, and takes so many microtasks for it. */
function counting(steps: number) {
  const state = { open: 0, done: 0, runs: 0, running: 0, together: 0 };
  const rerun = new Rerun({
    async work() {
      state.runs += 1;
      state.running += 1;
      state.together = Math.max(state.together, state.running);
      state.done += state.open;
      state.open = 0;
      for (let i = 0; i < steps; i++) await null;
      state.running -= 1;
    },
    logger: { warn: () => {} },
    what: "counting",
  });
  const ask = (): Promise<void> => {
    state.open += 1;
    return rerun.ask();
  };
  return { state, rerun, ask };
}

test("what is asked for in one step is one run, and what comes meanwhile one more", async () => {
  const { state, rerun, ask } = counting(5);
  const first = [ask(), ask(), ask()];
  expect(rerun.idle).toBe(false);
  for (let i = 0; i < 3; i++) await null;
  expect(state.runs).toBe(1);
  await Promise.all([...first, ask(), ask()]);
  expect(state).toMatchObject({ open: 0, done: 5, runs: 2, together: 1 });
  expect(rerun.idle).toBe(true);
});

test("what is asked for at whatever moment around the end of a run is done", async () => {
  // A run that ends is waited for through a few microtasks, and each of them may ask once more.
  for (let delay = 0; delay < 30; delay++) {
    const { state, rerun, ask } = counting(3);
    const first = ask();
    for (let i = 0; i < delay; i++) await null;
    await Promise.all([first, ask()]);
    expect(state, `${delay} steps later`).toMatchObject({ open: 0, done: 2, together: 1 });
    expect(rerun.idle).toBe(true);
  }
});

test("who waits learns of a failure, and the next one who asks begins anew", async () => {
  let failing = true;
  const warnings: string[] = [];
  const rerun = new Rerun({
    async work() {
      if (failing) throw new Error("away");
    },
    logger: { warn: (_message, fields) => warnings.push(String(fields?.["what"])) },
    what: "telling",
  });
  await expect(rerun.ask()).rejects.toThrow("away");
  expect(warnings).toEqual([]);
  rerun.soon();
  await expect.poll(() => warnings).toEqual(["telling"]);
  failing = false;
  await rerun.ask();
  expect(rerun.idle).toBe(true);
});

test("a run begins when what else is asked for has been collected", async () => {
  const turn = Promise.withResolvers<void>();
  const seen: number[] = [];
  let asked = 0;
  const rerun = new Rerun({
    collect: () => turn.promise,
    async work() {
      seen.push(asked);
    },
    logger: { warn: () => {} },
    what: "collecting",
  });
  for (; asked < 3; asked++) rerun.soon();
  for (let i = 0; i < 10; i++) await null;
  expect(seen).toEqual([]);
  turn.resolve();
  await expect.poll(() => rerun.idle).toBe(true);
  expect(seen).toEqual([3]);
});
