/** `bundle`: makes what a Worker imports of a configuration. */
import type { Command } from "commander";
import { loadWorkerConfig, secretLines, writeWorkerConfig } from "../config/worker.ts";
import { addFileOptions, type ConfigOptions, FILE_HELP, fileOf, valid } from "./config-options.ts";
import { EXIT_WRONG, Failure, oneLine } from "./failure.ts";
import { addHelp } from "./help.ts";

const HELP = `
It checks the configuration as check --host worker does, and writes it as the JSON that a Worker of
your own imports and hands to createWorker. Secrets stand there by their names alone. As a
command of [build] in wrangler.toml it runs before every deploy.

Exit codes: 0 when it is written; 2 when the configuration is not valid or cannot be written.

${FILE_HELP}

Examples:
  messageloop bundle --config config.yaml --out src/config.json
`;

interface BundleOptions extends ConfigOptions {
  readonly out: string;
}

export function configure(command: Command): void {
  const options = addFileOptions(command).requiredOption("--out <file>", "write this file");
  addHelp(options, HELP).action(bundle);
}

async function bundle({ out, ...options }: BundleOptions): Promise<void> {
  const config = await valid(loadWorkerConfig(fileOf(options)));
  try {
    await writeWorkerConfig(config, out);
  } catch (error) {
    const { message } = error as Error;
    throw new Failure(oneLine(`cannot write ${out}: ${message}`), EXIT_WRONG);
  }
  for (const warning of config.warnings) process.stderr.write(`${warning}\n`);
  process.stdout.write(`${out} is written\n`);
  for (const line of secretLines(config.secrets)) process.stdout.write(`${line}\n`);
}
