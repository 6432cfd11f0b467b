/** `presence`: prints the members of a channel. */
import { type Command, Option } from "commander";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson, printNote, printRow } from "../output.ts";
import { wholeNumber } from "../values.ts";
import { withApi } from "./connection.ts";
import { type ApiOptions, addApiOptions, EXIT_HELP, KEY_HELP } from "./options.ts";

const HELP = `
Each member is one line, since when and who, those first who joined first: a user on a
client, or a session where neither has a name. There are at most 1,000; a line on standard
error says how many more.
With --json it is one object,
  {channel, total, members: [{userId, clientId, sessionId, time}]}
with times in Unix milliseconds.

${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop presence chat.room
  messageloop presence chat.room --json | jq .total
`;

interface PresenceOptions extends ApiOptions, OutputOptions {
  readonly limit?: number;
}

export function configure(command: Command): void {
  command.addOption(new Option("--limit <n>", "members at most").argParser(wholeNumber));
  addHelp(addJsonOption(addApiOptions(command)), HELP).action(presence);
}

async function presence(channel: string, options: PresenceOptions): Promise<void> {
  const { json, limit } = options;
  const asked = { channel, ...(limit === undefined ? {} : { limit }) };
  const { members, total } = await withApi(options, (api) => api.presence(asked));
  if (json) {
    const all = members.map(({ userId, clientId, sessionId, time }) => {
      return { userId, clientId, sessionId, time: Number(time) };
    });
    printJson({ channel, total, members: all });
    return;
  }
  for (const { userId, clientId, sessionId, time } of members) {
    const names = [cell("user", userId), cell("client", clientId), cell("session", sessionId)];
    printRow(new Date(Number(time)).toISOString(), ...names);
  }
  if (total === 0) printNote(`nobody is present in ${channel}`);
  else if (total > members.length) printNote(`and ${total - members.length} more`);
}

function cell(kind: string, name: string): string {
  return name === "" ? "" : `${kind} ${name}`;
}
