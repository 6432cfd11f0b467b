/** `channels`: lists channels. */
import { type Command, Option } from "commander";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson, printNote, printRow } from "../output.ts";
import { wholeNumber } from "../values.ts";
import { type Api, withApi } from "./connection.ts";
import { type ApiOptions, addApiOptions, EXIT_HELP, KEY_HELP } from "./options.ts";

const HELP = `
It lists the channels that have been published to or had subscribers within their position
ttl, by name, as far as the key may read them. Each is one line: how many members are
present, and the name; with --json {channel, members}. What has happened in the last
seconds may be missing.

${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop channels
  messageloop channels 'chat.**' --limit 20
  messageloop channels --json | jq -r .channel
`;

/** As many as an answer has at most. */
const PAGE = 1_000;
/** Digits that numbers of members are aligned to. */
const DIGITS = 7;

interface ChannelsOptions extends ApiOptions, OutputOptions {
  readonly limit?: number;
}

export function configure(command: Command): void {
  command.addOption(
    new Option("--limit <n>", "at most so many (default: all)").argParser(wholeNumber),
  );
  addHelp(addJsonOption(addApiOptions(command)), HELP).action(channels);
}

async function channels(pattern: string | undefined, options: ChannelsOptions): Promise<void> {
  const count = await withApi(options, (api) => printAll(api, pattern ?? "", options));
  if (count === 0 && !options.json) printNote("there are none");
}

/** Prints page by page, and then how many there were. */
async function printAll(
  api: Api,
  pattern: string,
  { json, limit = Infinity }: ChannelsOptions,
): Promise<number> {
  let count = 0;
  let cursor = "";
  do {
    const page = await api.channels({ pattern, cursor, limit: Math.min(limit - count, PAGE) });
    for (const { channel, members } of page.channels) {
      if (json) printJson({ channel, members });
      else {
        if (count === 0) printRow("MEMBERS", "CHANNEL");
        printRow(`${members}`.padStart(DIGITS), channel);
      }
      count += 1;
    }
    ({ cursor } = page);
  } while (cursor !== "" && count < limit);
  return count;
}
