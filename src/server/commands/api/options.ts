/** How commands name a server API and its key: their common options, and what their help says about them. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { DEV_KEY_FILE } from "../../api/dev-key.ts";

export interface ApiOptions {
  readonly api: string;
  readonly keyFile?: string;
}

/** The variable of the environment that the key may be in. */
export const KEY_VARIABLE = "MESSAGELOOP_API_KEY";
export const DEFAULT_API = "http://localhost:8080";

/** What the help of every command with these options says about them. */
export const KEY_HELP = `The key is read from --key-file, else from ${KEY_VARIABLE}, else, for a server on this machine,
from the file ${DEV_KEY_FILE} of this folder, which "serve --dev" and "npm start" make.`;

export const EXIT_HELP = `Exit codes: 0 when it was done; 1 when the server cannot be reached, or refuses, which is
one line on standard error with its code first; 2 when the command line is wrong.`;

/** Adds `--api`, with its default, and `--key-file`. */
export function addApiOptions(command: Command): Command {
  return command.addOption(apiOption().default(DEFAULT_API)).addOption(keyFileOption());
}

/** `--api`, for commands in which it has no default. */
export function apiOption(): Option {
  return new Option("--api <url>", "where the server has its API").argParser(apiAddress);
}

/** There is no option that takes the key itself: arguments stand in the list of processes. */
export function keyFileOption(): Option {
  return new Option("--key-file <file>", `the file of the API key (env: ${KEY_VARIABLE})`);
}

/** @throws InvalidArgumentError where it is no address of an API */
export function apiAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url?.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (plain && (url.protocol === "http:" || url.protocol === "https:")) {
    return text.replace(/\/+$/, "");
  }
  throw new InvalidArgumentError(`It must be an address such as ${DEFAULT_API}.`);
}
