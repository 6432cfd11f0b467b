/** `disconnect`: ends sessions. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Error as ErrorMessage } from "../../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import { EXIT_WRONG, Failure } from "../failure.ts";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson, printRow } from "../output.ts";
import { collected } from "../values.ts";
import { refusal, withApi } from "./connection.ts";
import { type ApiOptions, addApiOptions, EXIT_HELP, KEY_HELP } from "./options.ts";

const HELP = `
It ends sessions by their ids, and with --user all sessions of a user. Each is one line that
says whether there was such a session, or how many the user had; with --json
  {session, ended: true}
  {user, sessions: 2}
Of one that cannot be reached the line on standard error has its code, and with --json
  {session, error: {code, message}}

${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop disconnect 3kTzQ0aVbN7x.6f0c8c1e-3a1d-4c53-9d0b-2f4a8f0e7b11
  messageloop disconnect --user ann --user ben
  messageloop disconnect --user ann --code 4001 --reason 'signed in elsewhere'
`;

interface DisconnectOptions extends ApiOptions, OutputOptions {
  readonly user: readonly string[];
  readonly code?: number;
  readonly reason?: string;
}

export function configure(command: Command): void {
  command
    .option(
      "--user <id>",
      "end all sessions of this user; may be given several times",
      collected,
      [],
    )
    .addOption(
      new Option("--code <code>", "close with it: 1000, or 3000 to 4999 (default: 3503)").argParser(
        closeCode,
      ),
    )
    .option("--reason <text>", "what clients are told (default: the code's own)");
  addHelp(addJsonOption(addApiOptions(command)), HELP).action(disconnect);
}

async function disconnect(
  sessions: readonly string[],
  { user: users, code = 0, reason = "", ...options }: DisconnectOptions,
): Promise<void> {
  if (sessions.length + users.length === 0) {
    throw new Failure("there is neither a session nor a user", EXIT_WRONG);
  }
  const asked = { sessions: [...sessions], users: [...users], code, reason };
  const answer = await withApi(options, (api) => api.disconnect(asked));
  const json = options.json === true;
  for (const session of sessions) {
    const ended = answer.results[session];
    if (ended === undefined) continue;
    if (json) printJson({ session, ended });
    else printRow(`session ${session}`, ended ? "ended" : "not found");
  }
  for (const user of users) {
    const count = answer.users[user];
    if (count === undefined) continue;
    if (json) printJson({ user, sessions: count });
    else printRow(`user ${user}`, count === 1 ? "1 session ended" : `${count} sessions ended`);
  }
  const { sessionErrors, userErrors } = answer;
  const failed = [...failures("session", sessionErrors), ...failures("user", userErrors)];
  if (failed.length === 0) return;
  if (json) for (const { line } of failed) printJson(line);
  throw new Failure(failed.map(({ text }) => text).join("\n"));
}

function failures(kind: "session" | "user", errors: Readonly<Record<string, ErrorMessage>>) {
  return Object.entries(errors).map(([name, error]) => {
    const { code, message } = error;
    return {
      line: { [kind]: name, error: { code, message } },
      text: `${kind} ${name}: ${refusal(error)}`,
    };
  });
}

function closeCode(text: string): number {
  const code = Number(text);
  if (/^\d{4}$/.test(text) && (code === 1000 || (code >= 3000 && code <= 4999))) return code;
  throw new InvalidArgumentError("It must be 1000, or a number from 3000 to 4999.");
}
