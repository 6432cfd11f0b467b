/** The options that name a configuration, and reading what they name. */
import { type Command, Option } from "commander";
import type { SecretUse } from "../../engine/settings/secrets.ts";
import type { ServerConfig } from "../config/config.ts";
import {
  CONFIG_VARIABLE,
  sentenceOf,
  type UnknownVariable,
  unknownVariables,
  VARIABLES,
} from "../config/environment.ts";
import { ConfigError, configFile, configFileHere, loadConfig, secretsIn } from "../config/file.ts";
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
  /** What the file names in the place of secrets. */
  readonly secrets: readonly SecretUse[];
  /** Variables of the environment that look like settings and are none. */
  readonly unknown: readonly UnknownVariable[];
}

const WIDTH = Math.max(...[...VARIABLES.keys()].map((name) => name.length));

export const FILE_HELP = `The file is the one of --config or --config-dir, or the one that ${CONFIG_VARIABLE} names, or
config.yaml in this folder. Without one every setting has its default; config.example.yaml explains them.`;

export const CONFIG_HELP = `${FILE_HELP}
Variables of the environment stand above the file, when they are not empty:

${[...VARIABLES].map(([name, path]) => `  ${name.padEnd(WIDTH)}  ${path}`).join("\n")}

A secret may stand elsewhere, and the file says where: by {secret: NAME}, which is a variable of the
environment, or by {file: PATH}. Any other variable whose name begins with MESSAGELOOP_ is warned of,
but for those that Kubernetes makes for its services.`;

/** Adds the options of commands that read a whole configuration, which `readConfig` takes. */
export function addConfigOptions(command: Command): Command {
  return addFileOptions(command).option(
    "--strict-env",
    "take an unknown variable MESSAGELOOP_... for an error",
  );
}

/** Adds `--config` and `--config-dir`, of which a command takes one; `fileOf` finds the file. */
export function addFileOptions(command: Command): Command {
  return command
    .addOption(new Option("--config <file>", "read this YAML file").conflicts("configDir"))
    .addOption(new Option("--config-dir <dir>", "read config.yaml in this folder"));
}

/** Path of the file that options name, or of the one that is taken without them; undefined for none. */
export function fileOf(options: ConfigOptions): string | undefined {
  return configFile({ ...options, env: process.env }) ?? configFileHere(process.env);
}

/**
 * The configuration that the options name, and its file if they name one.
 *
 * @throws Failure with one line for each problem
 */
export async function readConfig(options: ConfigOptions): Promise<ReadConfig> {
  const file = fileOf(options);
  const secrets = await secretsIn(file);
  const unknown = unknownVariables(process.env, new Set(secrets.map(({ name = "" }) => name)));
  const problems = options.strictEnv === true ? unknown.map(sentenceOf) : [];
  let config: ServerConfig | undefined;
  try {
    config = await loadConfig({ config: file, env: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(error.message);
  }
  if (config === undefined || problems.length > 0) {
    throw new Failure(problems.join("\n"), EXIT_WRONG);
  }
  return { config, file, secrets, unknown };
}

/**
 * What is read of a configuration.
 *
 * @throws Failure with one line for each problem
 * @example
 * const { secrets } = await valid(loadWorkerConfig(fileOf(options)));
 */
export async function valid<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof ConfigError) throw new Failure(error.message, EXIT_WRONG);
    throw error;
  }
}
