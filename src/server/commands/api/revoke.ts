/** `revoke`: makes tokens good for nothing. */
import { type Command, InvalidArgumentError } from "commander";
import { EXIT_WRONG, Failure } from "../failure.ts";
import { addHelp } from "../help.ts";
import { addJsonOption, type OutputOptions, printJson, printNote, printRow } from "../output.ts";
import { collected } from "../values.ts";
import { refusal, withApi } from "./connection.ts";
import { type ApiOptions, addApiOptions, EXIT_HELP, KEY_HELP } from "./options.ts";

const HELP = `
It revokes all tokens that the users have had until now, and with --token single ones of
one user, by their ids. Sessions by them end within ten seconds, and no other begins. Each
is one line; with --json
  {user, revoked: true}
  {user, token, revoked: true}
Of what was not done the line on standard error has its code, and with --json
  {user, token, error: {code, message}}

${KEY_HELP}

${EXIT_HELP}

Examples:
  messageloop revoke ann ben
  messageloop revoke ann --token 7f3a --token 81c0
  messageloop revoke ann --until 2027-01-31T00:00:00Z
`;

interface RevokeOptions extends ApiOptions, OutputOptions {
  readonly token: readonly string[];
  readonly until?: bigint;
}

export function configure(command: Command): void {
  command
    .option("--token <id>", "this token of the user; may be given several times", collected, [])
    .option(
      "--until <time>",
      "when the tokens expire by themselves, such as 2027-01-31T00:00:00Z (default: in 90 days)",
      timeOf,
    );
  addHelp(addJsonOption(addApiOptions(command)), HELP).action(revoke);
}

async function revoke(
  users: readonly string[],
  { token: ids, until = 0n, ...options }: RevokeOptions,
): Promise<void> {
  if (ids.length > 0 && users.length > 1) {
    throw new Failure("tokens are those of one user", EXIT_WRONG);
  }
  const [owner = ""] = users;
  const single = ids.length > 0;
  const tokens = [...new Set(ids)].map((id) => ({ user: owner, id }));
  const asked = { users: single ? [] : [...users], tokens, until };
  const { userErrors, tokenErrors, durable } = await withApi(options, (api) => api.revoke(asked));
  const errors = single ? tokenErrors : userErrors;
  const json = options.json === true;
  const failed: string[] = [];
  let done = 0;
  for (const name of new Set(single ? ids : users)) {
    const what = single ? { user: owner, token: name } : { user: name };
    const label = single ? `token ${name} of ${owner}` : `user ${name}`;
    const error = errors[name];
    if (error === undefined) {
      done += 1;
      if (json) printJson({ ...what, revoked: true });
      else printRow(label, "revoked");
      continue;
    }
    const { code, message } = error;
    if (json) printJson({ ...what, error: { code, message } });
    failed.push(`${label}: ${refusal(error)}`);
  }
  if (done > 0 && !durable) printNote("the server forgets this when it ends");
  if (failed.length > 0) throw new Failure(failed.join("\n"));
}

function timeOf(text: string): bigint {
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  if (time > 0) return BigInt(time);
  throw new InvalidArgumentError("It must be a time such as 2027-01-31T00:00:00Z.");
}
