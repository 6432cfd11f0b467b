/** Compressed messages take turns, as frames do, and wait while the client is not read. */
import { constants, deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { Inflater } from "../../../src/server/transport/deflate/inflater.ts";
import { Turns } from "../../../src/server/transport/turn-taking.ts";

const MAX_BYTES = 400_000;

function compressed(text: string): Buffer {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** An inflater that is brought message after message, as the library does: the next after the answer. */
function stage(turns: Turns, name: string, messages: readonly string[], taken: string[]) {
  const failures: number[] = [];
  const inflater = new Inflater(turns, MAX_BYTES, (code) => failures.push(code));
  const rest = messages.map(compressed);
  const bring = (): void => {
    const next = rest.shift();
    if (next === undefined) return;
    inflater.decompress(next, true, (error, data) => {
      if (error !== null) return;
      taken.push(`${name}${data}`);
      bring();
    });
  };
  bring();
  return { inflater, failures };
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

test("nothing is answered at once, and one of each client after the other", async () => {
  const turns = new Turns();
  const taken: string[] = [];
  stage(turns, "a", ["0", "1", "2"], taken);
  stage(turns, "b", ["0"], taken);
  expect(taken).toEqual([]);
  // On a busy machine the time of a turn may be over before all of them had theirs.
  while (taken.length < 4) await turn();
  expect(taken).toEqual(["a0", "b0", "a1", "a2"]);
});

test("long messages of one client are made whole in several turns", async () => {
  const turns = new Turns();
  const taken: string[] = [];
  const long = " ".repeat(MAX_BYTES);
  stage(turns, "a", new Array<string>(100).fill(long), taken);
  stage(turns, "b", ["0", "1"], taken);
  await turn();
  expect(taken.length).toBeLessThan(100);
  while (taken.length < 4) await turn();
  expect(taken.slice(0, 4).map((each) => each.trimEnd())).toEqual(["a", "b0", "a", "b1"]);
  let count = 1;
  for (; taken.length < 102; count++) await turn();
  expect(count).toBeGreaterThan(2);
});

test("nothing is made whole while its client is not read", async () => {
  const turns = new Turns();
  const taken: string[] = [];
  const { inflater } = stage(turns, "a", ["0", "1"], taken);
  inflater.hold();
  await turn();
  expect(taken).toEqual([]);
  inflater.release();
  inflater.release();
  while (taken.length < 2) await turn();
  expect(taken).toEqual(["a0", "a1"]);
  inflater.hold();
  inflater.release();
  await turn();
  expect(taken).toEqual(["a0", "a1"]);
});

test("what has not had its turn when the connection ends is forgotten", async () => {
  const turns = new Turns();
  const taken: string[] = [];
  const { inflater, failures } = stage(turns, "a", ["0"], taken);
  inflater.cleanup();
  await turn();
  expect([taken, failures]).toEqual([[], []]);
});

test("fragments are put together before", async () => {
  const turns = new Turns();
  const inflater = new Inflater(turns, MAX_BYTES, () => {});
  const whole = compressed("one message in three");
  const answers: string[] = [];
  const parts = [whole.subarray(0, 3), whole.subarray(3, 4), whole.subarray(4)];
  for (const [i, part] of parts.entries()) {
    inflater.decompress(part, i === 2, (_error, data) => answers.push(data.toString()));
    await turn();
  }
  expect(answers).toEqual(["", "", "one message in three"]);
});
