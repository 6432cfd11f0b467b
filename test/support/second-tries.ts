/** Names at the end of a run the tests that passed only when they were tried again, and fails it when they are many. */
import type { Reporter, TestModule } from "vitest/node";

/** So many tests of a run may need a second try. */
export const MOST = 3;
/** Lines of an error's message that say enough. */
const LINES = 12;

/** A test that failed, and passed when it was tried again. */
export interface SecondTry {
  readonly project: string;
  /** Path below the repository. */
  readonly file: string;
  /** With the names of those around it. */
  readonly test: string;
  /** What was wrong the first time. */
  readonly error: string;
}

export class SecondTries implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const found = modules.flatMap(secondTriesOf);
    if (found.length === 0) return;
    console.error(`\n${told(found)}\n`);
    if (found.length > MOST) process.exitCode = 1;
  }
}

function secondTriesOf(module: TestModule): SecondTry[] {
  return [...module.children.allTests("passed")]
    .filter((test) => test.diagnostic()?.flaky === true)
    .map((test) => {
      const failed = test.attempts().find(({ state }) => state === "failed");
      return {
        project: module.project.name,
        file: module.relativeModuleId,
        test: test.fullName,
        error: failed?.errors?.[0]?.message ?? "",
      };
    });
}

/** The tests, each with its first error, and what becomes of the run. */
export function told(found: readonly SecondTry[]): string {
  const many = found.length > MOST;
  const tests = found.length === 1 ? "1 test" : `${found.length} tests`;
  return [
    `${tests} passed only when tried again. Each is a fault to mend: test/README.md says how.`,
    ...found.flatMap(({ project, file, test, error }) => [
      `  ${project}: ${file} > ${test}`,
      ...error
        .split("\n")
        .slice(0, LINES)
        .map((line) => `      ${line}`.trimEnd()),
    ]),
    ...(many ? [`The run has failed: more than ${MOST} tests needed a second try.`] : []),
  ].join("\n");
}
