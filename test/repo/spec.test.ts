/** SPEC.md, the cases that cite its rules, and the tables of codes say the same. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DISCONNECTS, ERRORS } from "../../src/protocol/codes.ts";
import { CASES } from "../conformance/cases/index.ts";

const root = new URL("../../", import.meta.url);
const spec = readFileSync(new URL("SPEC.md", root), "utf8");
const rules = [...spec.matchAll(/^- \*\*([A-Z]\d+)\*\*/gm)].map(([, id]) => id ?? "");

/** Rules that no client can provoke over a socket, and the tests that show them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  A7: "test/engine/backend-answers.test.ts",
  S15: "test/engine/failures.test.ts",
  D7: "test/engine/access.test.ts",
  U6: "test/worker/unavailable.test.ts",
  L6: "test/engine/new-channels.test.ts",
  P12: "test/engine/transient.test.ts",
  C11: "test/worker/transient.test.ts",
  M8: "test/worker/presence.test.ts",
  W8: "test/redis/patterns.test.ts",
};

/** Rules that cases show, and the tests of what no client sees of them. */
const ALSO: Readonly<Record<string, string>> = {
  C2: "test/worker/channel-alarm.test.ts",
  V7: "test/redis/surveys.test.ts",
};

function rows(firstCell: RegExp): string[][] {
  return spec
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter((cells) => cells.length > 2 && firstCell.test(cells[1] ?? ""))
    .map((cells) => cells.slice(1, -1));
}

test("every rule is shown by a case, and every case cites rules that exist", () => {
  expect(new Set(rules).size).toBe(rules.length);
  const cited = new Set(CASES.flatMap((one) => one.rules));
  expect([...cited].filter((id) => !rules.includes(id))).toEqual([]);
  expect(rules.filter((id) => !cited.has(id) && ELSEWHERE[id] === undefined)).toEqual([]);
  expect(Object.keys(ELSEWHERE).filter((id) => !rules.includes(id) || cited.has(id))).toEqual([]);
  // The tests named there say themselves what they show.
  const shows = (id: string, path: string): boolean =>
    existsSync(new URL(path, root)) &&
    new RegExp(`\\b${id}\\b`).test(readFileSync(new URL(path, root), "utf8"));
  expect(Object.entries(ELSEWHERE).filter(([id, path]) => !shows(id, path))).toEqual([]);
  expect(Object.keys(ALSO).filter((id) => !cited.has(id))).toEqual([]);
  expect(Object.values(ALSO).filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test("sub-clauses are counted within their rule, and those that texts cite exist", () => {
  const found = [...spec.matchAll(/^(?:- \*\*([A-Z]\d+)| {2}- \*\*([A-Z]\d+\.\d+))\*\*/gm)];
  let rule = "";
  let count = 0;
  for (const [, id, part] of found) {
    if (id !== undefined) {
      rule = id;
      count = 0;
    } else expect(part).toBe(`${rule}.${++count}`);
  }
  const parts = found.flatMap(([, , part]) => part ?? []);
  expect(parts.length).toBeGreaterThan(0);
  const docs = globSync("docs/**/*.md", { cwd: root });
  for (const path of ["SPEC.md", "README.md", ...docs]) {
    const text = readFileSync(new URL(path, root), "utf8");
    const cited = [...text.matchAll(/\b[A-Z]\d+\.\d+\b/g)].map(([part]) => part);
    expect(
      cited.filter((part) => !parts.includes(part)),
      path,
    ).toEqual([]);
  }
});

test("the table of close codes is the one of the code", () => {
  const codes = Object.values(DISCONNECTS).sort((left, right) => left.code - right.code);
  expect(rows(/^\d{4}$/)).toEqual(
    codes.map(({ code, reason, reconnect, advice }) => [
      `${code}`,
      reason,
      reconnect ? "yes" : "no",
      advice,
    ]),
  );
});

test("the table of error codes is the one of the code", () => {
  expect(rows(/^`[A-Z_]+`$/)).toEqual(
    Object.entries(ERRORS).map(([code, { type, retry, counts, meaning }]) => [
      `\`${code}\``,
      type,
      retry ? "yes" : "no",
      counts ? "yes" : "no",
      meaning,
    ]),
  );
});
