/** The options that name a configuration, and reading what they name. */
import { type Command, Option } from "commander";
import type { ServerConfig } from "../config.ts";
import { ConfigError, configFile, loadConfig } from "../config-file.ts";
import { EXIT_WRONG, Failure } from "./failure.ts";

export interface ConfigOptions {
  readonly config?: string;
  readonly configDir?: string;
}

export const CONFIG_HELP = `Without a file every setting has its default; config.example.yaml explains them.
Variables of the environment stand above the file, when they are not empty:
  MESSAGELOOP_SERVER_HTTP_ADDR, MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR,
  MESSAGELOOP_TRANSPORT_GRPC_ADDR, MESSAGELOOP_BROKER_REDIS_ADDR and
  MESSAGELOOP_BROKER_REDIS_PASSWORD`;

export function addConfigOptions(command: Command): Command {
  return command
    .addOption(new Option("--config <file>", "read this YAML file").conflicts("configDir"))
    .addOption(new Option("--config-dir <dir>", "read config.yaml in this folder"));
}

/**
 * The configuration that the options name, and its file if they name one.
 *
 * @throws Failure with one line for each problem
 */
export async function readConfig(
  options: ConfigOptions,
): Promise<{ readonly config: ServerConfig; readonly file: string | undefined }> {
  const source = { ...options, env: process.env };
  try {
    return { config: await loadConfig(source), file: configFile(source) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new Failure(error.message, EXIT_WRONG);
  }
}
