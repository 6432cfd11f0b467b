/** The order in which files of tests begin. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { TestSpecification, Vitest } from "vitest/node";
import { LONGEST, LongestFirst } from "../support/longest-first.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("what is said to take longest is there", () => {
  expect(LONGEST.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test("in each group what takes longest begins first, whatever its project", async () => {
  const [longest = "", second = ""] = LONGEST;
  const spec = (groupOrder: number, name: string, file: string) => {
    const project = { name, config: { sequence: { groupOrder }, isolate: true } };
    return { project, moduleId: join(root, file) } as unknown as TestSpecification;
  };
  const files = [
    spec(1, "a", "test/repo/longest-first.test.ts"),
    spec(1, "z", longest),
    spec(0, "b", "test/repo/longest-first.test.ts"),
    // The rest of a folder begins where the folder stands.
    spec(0, "d", "test/worker/alarm.test.ts"),
    spec(0, "c", second),
  ];
  const cache = { getTestSpecificationResult: () => undefined };
  const sorted = await new LongestFirst({ cache } as unknown as Vitest).sort(files);
  expect(sorted.map(({ project }) => project.name)).toEqual(["c", "d", "b", "z", "a"]);
});
