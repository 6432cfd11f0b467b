/** `check`: says whether a configuration is valid, without starting anything. */
import type { Command } from "commander";
import { sentenceOf } from "../config/environment.ts";
import { addConfigOptions, CONFIG_HELP, type ConfigOptions, readConfig } from "./config-options.ts";

const HELP = `
It prints what is wrong, one problem a line, and exits with 2; else it exits with 0. It reads
the same as serve does, opens no port, and does not look into certificates. What is only warned
of is a line as well.

${CONFIG_HELP}

Examples:
  messageloop check --config config.yaml
  messageloop check --config-dir /etc/messageloop
`;

export function configure(command: Command): void {
  addConfigOptions(command).addHelpText("after", HELP).action(check);
}

async function check(options: ConfigOptions): Promise<void> {
  const { file = "the configuration without a file", unknown } = await readConfig(options);
  for (const variable of unknown) process.stderr.write(`${sentenceOf(variable)}\n`);
  process.stdout.write(`${file} is valid\n`);
}
