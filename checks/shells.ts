/**
 * `npm run check:shells`: what zsh, fish and bash offer with the scripts of `messageloop completion`. They are Debian's
 * packages of these names; the tests of `npm test` ask bash alone.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { provide } from "../scripts/debian.mjs";
import { completionsOf, offeredBy, SHELLS } from "../test/server/completion.ts";
import { Report } from "./report.ts";

const CLI = fileURLToPath(new URL("../src/server/cli.ts", import.meta.url));
const { values } = parseArgs({ options: { plant: { type: "boolean", default: false } } });

function printed(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

for (const shell of SHELLS) {
  provide(`MESSAGELOOP_SHELL_${shell.toUpperCase()}`, {
    names: [shell],
    packageName: shell,
    otherwise: `The check of completion needs ${shell}: install Debian's package ${shell}.`,
  });
}

const report = new Report("shells");
const wanted = await completionsOf(async (...commands) => [
  printed("--help"),
  ...commands.map((name) => printed(name, "--help")),
]);
for (const shell of SHELLS) {
  await report.part(shell, async () => {
    const script = printed("completion", shell);
    // A planted fault: an option has another name.
    const used = values.plant ? script.replaceAll("log-level", "log-lvl") : script;
    const offered = offeredBy(
      shell,
      used,
      wanted.map(({ line }) => line),
    );
    const wrong = wanted.flatMap(({ line, offers }, at) => {
      const [is, should] = [offered[at]?.join(" "), offers.toSorted().join(" ")];
      return is === should ? [] : [`\n  ${line}\n    offers ${is}\n    not    ${should}`];
    });
    report.expect(
      wrong.length === 0,
      `${wanted.length} lines are completed as the help has it${wrong.join("")}`,
    );
  });
}
report.end();
