/** `key`: makes a key of the server API. */
import { type Command, InvalidArgumentError } from "commander";
import { makeKey, RIGHTS, type Right, USUAL_RIGHTS } from "../api/keys.ts";
import { SettingsError } from "../config/config.ts";
import { EXIT_WRONG, Failure } from "./failure.ts";
import { addHelp } from "./help.ts";
import { addJsonOption, type OutputOptions, printJson } from "./output.ts";

const HELP = `
It prints the key, which is nowhere else and is not shown again, and the entry that belongs into
api.keys of the configuration, into MESSAGELOOP_API_KEYS, or into the Worker's secret of that name.
The entry holds the key's SHA-256 and is no secret. Both of the latter take a list of entries,
[...], so that a new key is good before the old one goes.

Examples:
  messageloop key
  messageloop key --id ci --right publish --pattern 'ci.**'
  messageloop key --right read --expires 2027-01-31T00:00:00Z
  messageloop key --json > key.json
`;

const EVERYWHERE: readonly string[] = ["**"];

interface KeyOptions extends OutputOptions {
  readonly id?: string;
  readonly right: readonly Right[];
  readonly pattern: readonly string[];
  readonly expires?: string;
}

export function configure(command: Command): void {
  command
    .option("--id <name>", "names the key in what it publishes (default: a random one)")
    .option(
      "--right <right>",
      `${RIGHTS.join(", ")}; may be given several times`,
      rights,
      USUAL_RIGHTS,
    )
    .option(
      "--pattern <pattern>",
      "channels it is good for; may be given several times",
      patterns,
      EVERYWHERE,
    )
    .option("--expires <time>", "from when on it is good for nothing");
  addHelp(addJsonOption(command), HELP).action(key);
}

function key({ id, right, pattern, expires, json }: KeyOptions): void {
  const terms = { rights: right, patterns: pattern, ...(expires === undefined ? {} : { expires }) };
  try {
    const made = makeKey(id === undefined ? terms : { id, ...terms });
    if (json === true) printJson(made);
    else process.stdout.write(`key:   ${made.key}\nentry: ${JSON.stringify(made.entry)}\n`);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    // The only entry of its list.
    throw new Failure(error.message.replaceAll(/^0\./gm, ""), EXIT_WRONG);
  }
}

/** The first of them takes the place of the default. */
function rights(value: string, before: readonly Right[]): readonly Right[] {
  const right = RIGHTS.find((one) => one === value);
  if (right === undefined) throw new InvalidArgumentError(`must be one of ${RIGHTS.join(", ")}.`);
  return [...(before === USUAL_RIGHTS ? [] : before), right];
}

function patterns(value: string, before: readonly string[]): readonly string[] {
  return [...(before === EVERYWHERE ? [] : before), value];
}
