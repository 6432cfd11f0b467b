/** docs/limits.md names every setting with its true default, and no setting that does not exist. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SETTING_PATHS } from "../../src/engine/settings.ts";

const text = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
const rows = text
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) => line.split("|").map((cell) => cell.trim().replace(/^`(.*)`$/, "$1")));
const groups = new Set(SETTING_PATHS.map(([path]) => path.split(".", 1)[0]));

test.each(SETTING_PATHS)("%s stands in the table with its default %s", (path, standard) => {
  const found = rows.filter((row) => row[1] === path);
  expect(found.map((row) => row[2])).toEqual([standard]);
});

test("what looks like a setting in the tables is one", () => {
  const known = SETTING_PATHS.map(([path]) => path);
  const named = rows.map((row) => row[1] ?? "").filter((cell) => /^\w+(\.\w+)+$/.test(cell));
  expect(named.toSorted()).toEqual(known.toSorted());
  const mentioned = rows.flatMap((row) => row.join("|").match(/\b\w+(?:\.\w+)+/g) ?? []);
  const settings = mentioned.filter((name) => groups.has(name.split(".", 1)[0]));
  expect(settings.filter((name) => !known.includes(name))).toEqual([]);
});
