/** The scenarios that wait for a later step do wait for it. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const LINE = /^(C\.[345]\.\d+) ([a-z-]+) (\d+) (\S.*)$/;

/** Steps that have come, each with a file that it brought. Such a file that moves moves here too. */
const COME: Readonly<Record<string, string>> = {
  5: "src/brokers/redis/broker.ts",
  6: "src/channels/pattern-map.ts",
};

/** Steps that gaps may wait for, each with a file that it will bring: then its gaps are gaps no more. */
const TO_COME: Readonly<Record<string, string>> = {
  8: "src/engine/authorizer.ts",
};

const exists = (path: string): boolean => existsSync(new URL(path, root));

const gaps = readFileSync(new URL("test/known-gaps/scenarios.txt", root), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

test("every gap names a scenario, a part of it, the step that brings it and a reason, once", () => {
  expect(gaps.filter((line) => !LINE.test(line))).toEqual([]);
  const parts = gaps.map((line) => line.split(" ", 2).join(" "));
  expect(new Set(parts).size).toBe(parts.length);
});

test("no gap waits for a step that has come", () => {
  const late = gaps.filter((line) => TO_COME[LINE.exec(line)?.[3] ?? ""] === undefined);
  expect(late).toEqual([]);
});

test("a file shows of every step whether it has come", () => {
  expect(Object.values(COME).filter((path) => !exists(path))).toEqual([]);
  expect(Object.values(TO_COME).filter(exists)).toEqual([]);
  // A path into a folder that is not there would never show anything.
  const folders = Object.values(TO_COME).map((path) => path.slice(0, path.lastIndexOf("/")));
  expect(folders.filter((path) => !exists(path))).toEqual([]);
});
