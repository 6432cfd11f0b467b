/** How long calls wait for Redis, and that a node says meanwhile that it is there. */
import { expect, test } from "vitest";
import { RedisKeys } from "../../../src/brokers/redis/keys.ts";
import { RedisNodes } from "../../../src/brokers/redis/nodes.ts";
import { patiently } from "../../../src/brokers/redis/outage/retry.ts";
import { Troubles } from "../../../src/brokers/redis/outage/troubles.ts";
import { RedisFailure } from "../../../src/brokers/redis/ports.ts";

/** Time that passes, and a clock that may be set to any other. */
function scene() {
  let passed = 0;
  let step = 0;
  let due: { at: number; callback: () => void }[] = [];
  const clock = { now: () => 1_700_000_000_000 + passed + step };
  const timers = {
    after: (ms: number, callback: () => void) => {
      const one = { at: passed + ms, callback };
      due.push(one);
      return () => {
        due = due.filter((other) => other !== one);
      };
    },
  };
  return {
    waiting: {
      clock,
      timers,
      troubles: new Troubles(clock, { warn: () => {} }),
      outage: { since: undefined },
    },
    timers: () => due.length,
    set: (ms: number) => {
      step += ms;
    },
    pass: async (ms: number): Promise<void> => {
      const end = passed + ms;
      for (;;) {
        for (let i = 0; i < 20; i++) await Promise.resolve();
        const next = due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        due = due.filter((one) => one !== next);
        passed = next.at;
        next.callback();
      }
      passed = end;
    },
  };
}

const OFFLINE = new RedisFailure("offline", "there is no connection");
const LOST = new RedisFailure("lost", "the connection was lost");
const HOUR_MS = 3_600_000;

function outcomeOf(call: Promise<unknown>): { value: string } {
  const outcome = { value: "waits" };
  call.then(
    (result) => {
      outcome.value = String(result);
    },
    (error: Error) => {
      outcome.value = error.message;
    },
  );
  return outcome;
}

test.each([0, HOUR_MS, -HOUR_MS])(
  "a call without an outcome is given up after five seconds, whatever the clock does: %i",
  async (jump) => {
    const { waiting, pass, set, timers } = scene();
    const hung = outcomeOf(patiently(waiting, () => new Promise(() => {})));
    const lost = outcomeOf(
      patiently(waiting, async () => {
        throw LOST;
      }),
    );
    await pass(1_000);
    set(jump);
    await pass(3_900);
    expect([hung.value, lost.value]).toEqual(["waits", "waits"]);
    await pass(400);
    expect(hung.value).toBe("Redis does not answer in time");
    expect(lost.value).not.toBe("waits");
    expect(timers()).toBeLessThanOrEqual(1);
  },
);

test.each([0, HOUR_MS, -HOUR_MS])(
  "a call that was never sent is given up after one second of outage, whatever the clock does: %i",
  async (jump) => {
    const { waiting, pass, set } = scene();
    const outage = { since: waiting.clock.now() };
    const failing = async (): Promise<never> => {
      throw OFFLINE;
    };
    const first = outcomeOf(patiently({ ...waiting, outage }, failing));
    await pass(400);
    set(jump);
    await pass(400);
    expect(first.value).toBe("waits");
    await pass(500);
    expect(first.value).toBe("Redis is away");
    if (jump !== 0) return;
    const later = outcomeOf(patiently({ ...waiting, outage }, failing));
    await pass(0);
    expect(later.value).toBe("Redis is away");
  },
);

test("what Redis does at last is the outcome", async () => {
  const { waiting, pass, timers } = scene();
  let tries = 0;
  const done = outcomeOf(
    patiently(waiting, async () => {
      tries += 1;
      if (tries < 4) throw tries === 2 ? LOST : OFFLINE;
      return "done";
    }),
  );
  await pass(800);
  expect(done.value).toBe("done");
  expect(timers()).toBe(0);
});

test("a node that has very much to tell under a new name goes on to say that it is there", async () => {
  const { waiting, pass } = scene();
  const beats: string[] = [];
  let run = "a";
  const nodes = new RedisNodes({
    ...waiting,
    commands: {
      command: async () => 1,
      run: async (_, __, args) => {
        beats.push(String(args[0]));
        return [1, run, waiting.clock.now(), []];
      },
    },
    keys: new RedisKeys("t:"),
    node: "n",
    beatMs: 1_000,
    renamed: () => new Promise(() => {}),
    takeOverProcess: async () => {},
    takeOver: async () => {},
    warn: () => {},
  });
  await nodes.start();
  run = "b";
  await pass(30_000);
  expect(nodes.name).toBe("n-1");
  expect(beats.filter((name) => name === "n-1").length).toBeGreaterThan(25);
});
