/** The options that name a configuration, and reading what they name. */
import { type Command, Option } from "commander";
import type { ServerConfig } from "../config/config.ts";
import {
  sentenceOf,
  type UnknownVariable,
  unknownVariables,
  VARIABLES,
} from "../config/environment.ts";
import { ConfigError, configFile, loadConfig } from "../config/file.ts";
import { EXIT_WRONG, Failure } from "./failure.ts";

export interface ConfigOptions {
  readonly config?: string;
  readonly configDir?: string;
  readonly strictEnv?: true;
}

/** What options and environment come to. */
export interface ReadConfig {
  readonly config: ServerConfig;
  /** Path of the file, if there is one. */
  readonly file: string | undefined;
  /** Variables of the environment that look like settings and are none. */
  readonly unknown: readonly UnknownVariable[];
}

const WIDTH = Math.max(...[...VARIABLES.keys()].map((name) => name.length));

export const CONFIG_HELP = `Without a file every setting has its default; config.example.yaml explains them.
Variables of the environment stand above the file, when they are not empty:

${[...VARIABLES].map(([name, path]) => `  ${name.padEnd(WIDTH)}  ${path}`).join("\n")}

Any other whose name begins with MESSAGELOOP_ is warned of, but for those that Kubernetes makes
for its services.`;

export function addConfigOptions(command: Command): Command {
  return command
    .addOption(new Option("--config <file>", "read this YAML file").conflicts("configDir"))
    .addOption(new Option("--config-dir <dir>", "read config.yaml in this folder"))
    .option("--strict-env", "take an unknown variable MESSAGELOOP_... for an error");
}

/**
 * The configuration that the options name, and its file if they name one.
 *
 * @throws Failure with one line for each problem
 */
export async function readConfig(options: ConfigOptions): Promise<ReadConfig> {
  const source = { ...options, env: process.env };
  const unknown = unknownVariables(process.env);
  const problems = options.strictEnv === true ? unknown.map(sentenceOf) : [];
  let config: ServerConfig | undefined;
  try {
    config = await loadConfig(source);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(error.message);
  }
  if (config === undefined || problems.length > 0) {
    throw new Failure(problems.join("\n"), EXIT_WRONG);
  }
  return { config, file: configFile(source), unknown };
}
