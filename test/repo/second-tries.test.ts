/** What a run says of tests that passed only when they were tried again, and its exit code. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MOST, type SecondTry, told } from "../support/second-tries.ts";

const VITEST = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
const CONFIG = fileURLToPath(new URL("../fixtures/second-tries/vitest.config.ts", import.meta.url));

/** Runs the tests of the fixture. Resolves with the exit code and what was said of second tries. */
async function run(more: Readonly<Record<string, string>>) {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
  const child = spawn(process.execPath, [VITEST, "run", "--config", CONFIG], {
    env: { ...Object.fromEntries(own), ...more },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
  return { code, said };
}

test("so many may need a second try, each is named with its first error, and one more fails the run", async () => {
  const [none, few, many, broken] = await Promise.all([
    run({ UNSTEADY: "0" }),
    run({ UNSTEADY: `${MOST}` }),
    run({ UNSTEADY: `${MOST + 1}` }),
    run({ UNSTEADY: "1", BROKEN: "1" }),
  ]);
  expect([none.code, none.said]).toEqual([0, ""]);
  expect([few.code, many.code, broken.code]).toEqual([0, 1, 1]);
  for (let i = 1; i <= MOST; i++) {
    expect(few.said).toContain(
      `unsteady.ts > unsteady ${i}\n      try 1 of ${i}: expected 1 to be 2`,
    );
  }
  expect(few.said).not.toContain("The run has failed");
  expect(many.said).toContain(`unsteady ${MOST + 1}`);
  expect(many.said).toContain("The run has failed");
  // What never passes is the runner's to tell.
  expect(broken.said).toContain("1 test passed only when tried again");
  expect(broken.said).not.toContain("broken");
});

test("a message of many lines is cut", () => {
  const error = Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n");
  const one: SecondTry = { project: "redis", file: "test/a.test.ts", test: "a > b", error };
  const lines = told([one]).split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "1 test passed only when tried again. Each is a fault to mend: test/README.md says how.",
    "  redis: test/a.test.ts > a > b",
    "      line 0",
  ]);
  expect(lines).toHaveLength(2 + 12);
});
