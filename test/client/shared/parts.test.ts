/** Parts of the hub by themselves. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Cursors } from "../../../src/client/shared/hub/cursors.ts";
import { overlap } from "../../../src/client/shared/hub/patterns.ts";
import { Surveys } from "../../../src/client/shared/hub/surveys.ts";
import type { Tab } from "../../../src/client/shared/hub/tab.ts";
import { Waiting } from "../../../src/client/shared/hub/waiting.ts";
import { SDK_VERSION } from "../../../src/client/shared/version.ts";

test("the version is the package's", async () => {
  const text = await readFile(new URL("../../../package.json", import.meta.url), "utf8");
  expect(SDK_VERSION).toBe((JSON.parse(text) as { version: string }).version);
});

test.each([
  ["a.*", "a.b", true],
  ["a.*", "*.b", true],
  ["a.*", "b.*", false],
  ["a.**", "a", true],
  ["a.**", "a.b.*", true],
  ["a.*.c", "a.b.*.d", false],
  ["**", "x.y", true],
  ["*", "a.b", false],
  ["a.*", "a.*.**", true],
  ["a", "a.*.**", false],
])("%s and %s may stand for one channel: %s", (one, other, expected) => {
  expect(overlap(one, other)).toBe(expected);
  expect(overlap(other, one)).toBe(expected);
});

test("a message is taken once, and a log that begins anew is a gap", () => {
  const cursors = new Cursors();
  const message = (epoch: string, offset: number) => ({ channel: "c", epoch, offset });
  expect(cursors.take(message("e", 5), false)).toBe(true);
  expect(cursors.take(message("e", 5), false)).toBe(false);
  expect(cursors.take(message("e", 4), false)).toBe(false);
  expect(cursors.take(message("f", 3), false)).toEqual({
    ...{ channel: "c", reason: "epoch_changed" },
    ...{ after: { epoch: "e", offset: 5 }, until: { epoch: "f", offset: 2 } },
  });
  cursors.reach("c", { epoch: "f", offset: 9 });
  cursors.reach("c", { epoch: "f", offset: 7 });
  expect(cursors.get("c")).toEqual({ epoch: "f", offset: 9 });
  // The verdict of a recovery says what is missing by itself.
  expect(cursors.take(message("g", 1), true)).toBe(true);
  cursors.keep(() => false);
  expect(cursors.get("c")).toBeUndefined();
});

test("the first answer to a survey counts, and an error only when all have failed", () => {
  const [one, two] = [{} as Tab, {} as Tab];
  const answer = { survey_response: { request_id: "q" } };
  const error = { survey_response: { request_id: "q", error: { code: "UNIMPLEMENTED" } } };
  const surveys = new Surveys();
  surveys.ask("q", [one, two]);
  expect(surveys.takes(one, error)).toBe(false);
  expect(surveys.takes(two, answer)).toBe(true);
  expect(surveys.takes(two, answer)).toBe(false);
  surveys.ask("q", [one, two]);
  expect(surveys.takes(one, error)).toBe(false);
  expect(surveys.takes(two, error)).toBe(true);
  surveys.ask("q", [one, two]);
  expect(surveys.takes(one, error)).toBe(false);
  expect(surveys.left(two)).toEqual(["q"]);
  expect(surveys.takes(two, answer)).toBe(false);
});

test("large messages fill what may wait as many do, and one that is larger goes by itself", () => {
  const waiting = new Waiting();
  const message = (offset: number, size: number) => ({
    ...{ channel: "c", epoch: "e", offset },
    payload: { text_data: "x".repeat(size) },
  });
  expect(waiting.add(message(1, 9_000_000))).toBe(true);
  expect(waiting.add(message(2, 1))).toBe(false);
  expect(waiting.missesPresence("p")).toBe(true);
  expect(waiting.missesMore({ channel: "d", reason: "expired" })).toBe(true);
  const missed = waiting.taken(1);
  expect(missed?.gaps).toMatchObject([
    { channel: "c", after: { offset: 1 }, until: { offset: 2 } },
    { channel: "d" },
  ]);
  expect([...(missed?.presence ?? [])]).toEqual(["p"]);
  for (let i = 3; i < 11; i++) expect(waiting.add(message(i, 1_000_000))).toBe(true);
  expect(waiting.add(message(11, 1_000_000))).toBe(false);
  expect(waiting.overflowed).toBe(false);
  for (let i = 0; i < 2_001; i++) waiting.missesPresence(`p${i}`);
  expect(waiting.overflowed).toBe(true);
});
