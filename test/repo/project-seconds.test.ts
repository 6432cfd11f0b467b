/** The table of seconds at the end of a run. */
import { expect, test } from "vitest";
import { projectTable } from "../support/project-seconds.ts";

test("each project has its span, the sum of its files and the longest of them", () => {
  const runs = [
    { project: "slow", file: "test/b.test.ts", tests: 2, from: 1_000, to: 4_000 },
    { project: "slow", file: "test/c.test.ts", tests: 10, from: 2_000, to: 12_500 },
    { project: "quick", file: "test/a.test.ts", tests: 1, from: 0, to: 1_000 },
  ];
  expect(projectTable(runs)).toBe(
    [
      "| project | files | tests | seconds | of its files | longest file        |",
      "| ------- | ----- | ----- | ------- | ------------ | ------------------- |",
      "| quick   | 1     | 1     | 1.0     | 1.0          | test/a.test.ts 1.0  |",
      "| slow    | 2     | 12    | 11.5    | 13.5         | test/c.test.ts 10.5 |",
      "| all     | 3     | 13    | 12.5    | 14.5         | test/c.test.ts 10.5 |",
    ].join("\n"),
  );
});
