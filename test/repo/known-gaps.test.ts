/** The scenarios that wait for a later step do wait for it. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const LINE = /^(C\.[345]\.\d+) ([a-z-]+) (\d+) (\S.*)$/;

/** How it shows that a step has come: then its gaps are gaps no more. */
const HAS_COME: Readonly<Record<string, () => boolean>> = {
  5: () => existsSync(new URL("src/brokers/redis/broker.ts", root)),
  6: () => existsSync(new URL("src/channels/pattern-map.ts", root)),
  8: () => existsSync(new URL("src/engine/authorizer.ts", root)),
};

const gaps = readFileSync(new URL("test/known-gaps/scenarios.txt", root), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

test("every gap names a scenario, a part of it, the step that brings it and a reason, once", () => {
  expect(gaps.filter((line) => !LINE.test(line))).toEqual([]);
  const parts = gaps.map((line) => line.split(" ", 2).join(" "));
  expect(new Set(parts).size).toBe(parts.length);
});

test("no gap waits for a step that has come", () => {
  const late = gaps.filter((line) => HAS_COME[LINE.exec(line)?.[3] ?? ""]?.() !== false);
  expect(late).toEqual([]);
});
