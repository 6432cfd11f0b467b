/** Completion in bash offers exactly what the help has; zsh and fish have a check of their own. */
import { beforeAll, expect, test } from "vitest";
import { type Completion, completionsOf, offeredBy } from "./completion.ts";
import { linesOf, runCli, runLines } from "./process.ts";

let wanted: readonly Completion[];

beforeAll(async () => {
  wanted = await completionsOf(async (...commands) => {
    const outcomes = await runLines([["--help"], ...commands.map((name) => [name, "--help"])]);
    return outcomes.map(({ stdout }) => stdout);
  });
});

test("bash offers each command, each of its options, and the values that there are", async () => {
  const { code, stdout, stderr } = await runCli(["completion", "bash"]);
  expect([code, stderr]).toEqual([0, ""]);
  const offered = offeredBy(
    "bash",
    stdout,
    wanted.map(({ line }) => line),
  );
  expect(offered).toEqual(wanted.map(({ offers }) => [...offers].toSorted()));
});

test("an option with another name is noticed", async () => {
  const { stdout } = await runCli(["completion", "bash"]);
  const [offered] = offeredBy("bash", stdout.replaceAll("--dev", "--dve"), [
    "messageloop serve --d",
  ]);
  expect(offered).toEqual(["--dve"]);
});

test("a shell that there is no script for is a wrong command line", async () => {
  const { code, stdout, stderr } = await runCli(["completion", "tcsh"]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(linesOf(stderr)).toEqual([
    "command-argument value 'tcsh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish.",
  ]);
});
