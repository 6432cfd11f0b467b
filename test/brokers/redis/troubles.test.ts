/** What operators read of calls that fail, and how often they are tried. */
import { expect, test } from "vitest";
import { RedisRetries } from "../../../src/brokers/redis/outage/retries.ts";
import { mendable } from "../../../src/brokers/redis/outage/retry.ts";
import { Troubles } from "../../../src/brokers/redis/outage/troubles.ts";
import { RedisFailure } from "../../../src/brokers/redis/ports.ts";
import { unavailable } from "../../../src/protocol/errors.ts";

function scene() {
  let now = 0;
  const lines: string[] = [];
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
  const clock = { now: () => now };
  const troubles = new Troubles(clock, { warn: write("warn"), info: write("info") });
  let due: { at: number; callback: () => void }[] = [];
  const timers = {
    after: (ms: number, callback: () => void) => {
      const one = { at: now + ms, callback };
      due.push(one);
      return () => {
        due = due.filter((other) => other !== one);
      };
    },
  };
  const pass = async (ms: number): Promise<void> => {
    const end = now + ms;
    for (;;) {
      for (let i = 0; i < 10; i++) await Promise.resolve();
      const next = due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      due = due.filter((one) => one !== next);
      now = next.at;
      next.callback();
    }
    now = end;
  };
  return { lines, troubles, timers, pass, retries: new RedisRetries(timers, troubles) };
}

const OFFLINE = new RedisFailure("offline", "there is no connection");

test("the first failure is a line, then one a minute, and the end is a line", async () => {
  const { lines, pass, retries } = scene();
  let away = true;
  const done = Array.from({ length: 500 }, () =>
    retries.until(
      "x",
      () => false,
      async () => {
        if (away) throw OFFLINE;
      },
    ),
  );
  await pass(59_000);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^warn a call to Redis fails .*"what":"x".*there is no connection/);
  await pass(121_000);
  expect(lines).toHaveLength(3);
  away = false;
  await pass(5_000);
  await Promise.all(done);
  expect(lines).toHaveLength(4);
  expect(lines[3]).toMatch(/^info calls to Redis do not fail any more .*"after_ms":18\d{4}/);
});

test("however much waits, a second brings no more than one round of tries", async () => {
  const { pass, retries } = scene();
  let tries = 0;
  const wanted = { all: true };
  const done = Array.from({ length: 10_000 }, () =>
    retries.until(
      "x",
      () => !wanted.all,
      async () => {
        tries += 1;
        throw OFFLINE;
      },
    ),
  );
  await pass(10_000);
  tries = 0;
  await pass(10_000);
  expect(tries).toBeLessThanOrEqual(11 * 64);
  expect(retries.size).toBe(10_000);
  // What nobody wants any more leaves with the next pause, without a call.
  wanted.all = false;
  tries = 0;
  await pass(1_100);
  await Promise.all(done);
  expect([retries.size, tries]).toEqual([0, 0]);
});

test("what waits does not wait for the end of a long pause when Redis is back", async () => {
  const { pass, retries } = scene();
  let away = true;
  const done = retries.until(
    "x",
    () => false,
    async () => {
      if (away) throw OFFLINE;
      return "done";
    },
  );
  await pass(30_000);
  away = false;
  retries.hurry();
  await pass(10);
  expect(retries.size).toBe(0);
  expect(await done).toBe("done");
});

test("only what a repetition may mend is repeated", async () => {
  const { pass, retries } = scene();
  const failures = ["refused", "garbled"].map((kind) => new RedisFailure(kind as "refused", kind));
  const refused = unavailable("Redis refused", failures[0]);
  for (const error of [...failures, refused, new TypeError("ours")]) {
    expect(mendable(error)).toBe(false);
    let tries = 0;
    const outcome = retries.until(
      "x",
      () => false,
      async () => {
        tries += 1;
        throw error;
      },
    );
    await expect(outcome).rejects.toBe(error);
    await pass(10_000);
    expect(tries).toBe(1);
  }
  for (const kind of ["offline", "lost", "busy"] as const) {
    expect(mendable(new RedisFailure(kind, kind))).toBe(true);
  }
  expect(mendable(unavailable("Redis is away", OFFLINE))).toBe(true);
});

test("a failure that nobody repeats is a line, the same one a minute later the next", async () => {
  const { lines, pass, troubles } = scene();
  for (let i = 0; i < 100; i++) {
    troubles.note("x", new RedisFailure("refused", "NOPERM"));
    await pass(1_000);
  }
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain('"left_out":59');
});
