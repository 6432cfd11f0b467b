/** `token`: makes a token that a server of the same configuration takes, for development. */
import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { AuthSettings } from "../../auth/settings.ts";
import { algorithmOf, makeToken, type SigningKey } from "../../auth/token.ts";
import { ACTIONS, type Action, type Grant } from "../../engine/ports/access.ts";
import { BadValue } from "../../engine/session/application-values.ts";
import { answeredIdentity } from "../../engine/session/backend-answers.ts";
import { MAX_TOKEN_BYTES } from "../../protocol/limits.ts";
import { loadAuth } from "../config/file.ts";
import { addFileOptions, type ConfigOptions, FILE_HELP, fileOf, valid } from "./config-options.ts";
import { EXIT_WRONG, Failure, oneLine } from "./failure.ts";
import { addHelp } from "./help.ts";
import { addJsonOption, type OutputOptions, printJson } from "./output.ts";
import { collected, duration } from "./values.ts";

const HELP = `
It is signed with auth.jwt.hmac_secret of the configuration, or with a private key as PEM in PKCS #8, whose public half
the server has, and says the issuer and the audience of the configuration. In production the application's own service
makes tokens; docs/authentication.md says what may stand in them. With --json it is one line, {token, expiresAt}.

${FILE_HELP}
Of it auth alone is read, whichever host it is for, with the secret that it names there: {secret: NAME} is a variable of
the environment. MESSAGELOOP_AUTH_JWT_HMAC_SECRET and MESSAGELOOP_AUTH_JWT_PUBLIC_KEY stand above the file.

Examples:
  messageloop token --config config.yaml --user ada
  messageloop token --config config.yaml --user ada --ttl 10m --channel user.ada
  messageloop token --user ada --grant 'chat.**=subscribe,publish' --json
  messageloop token --user ada --private-key private.pem
`;

const NONE: readonly never[] = [];

interface TokenOptions extends ConfigOptions, OutputOptions {
  readonly user: string;
  readonly ttl: number;
  readonly id?: string;
  readonly client?: string;
  readonly channel: readonly string[];
  readonly grant: readonly Grant[];
  readonly privateKey?: string;
}

export function configure(command: Command): void {
  const ttl = new Option("--ttl <duration>", "how long it is good");
  addJsonOption(addFileOptions(command))
    .requiredOption("--user <id>", "whom it stands for")
    .addOption(
      ttl
        .argParser(duration(1_000, Infinity, "of at least 1s, such as 10m"))
        .default(3_600_000, "1h"),
    )
    .option("--id <id>", "its own id, by which it can be revoked")
    .option("--client <id>", "the client id that its bearer has to connect with")
    .option(
      "--channel <name>",
      "a channel that a session has by it; several times",
      collected,
      NONE,
    )
    .option("--grant <pattern=actions>", "what its bearer may do; several times", grants, NONE)
    .option("--private-key <file>", "sign with this key in place of the secret");
  addHelp(command, HELP).action(token);
}

async function token(options: TokenOptions): Promise<void> {
  const { jwt } = await valid(loadAuth({ config: fileOf(options), env: process.env }));
  const key = await keyOf(options, jwt);
  const issuedAt = Date.now();
  const expiresAt = issuedAt + options.ttl;
  const { user: userId, id: tokenId, client, channel, grant } = options;
  const channels = channel.length === 0 ? undefined : channel;
  const granted = grant.length === 0 ? undefined : grant;
  checked({ userId, tokenId, channels, grants: granted });
  const { issuers = [], audiences = [] } = jwt ?? {};
  const made = await signed(key, {
    userId,
    tokenId,
    client,
    channels,
    grants: granted,
    issuer: issuers[0],
    audience: audiences[0],
    issuedAt,
    expiresAt,
  });
  if (made.length > MAX_TOKEN_BYTES) {
    throw new Failure(`it would be longer than ${MAX_TOKEN_BYTES} bytes`, EXIT_WRONG);
  }
  if (options.json === true) printJson({ token: made, expiresAt });
  else process.stdout.write(`${made}\n`);
}

async function keyOf({ privateKey }: TokenOptions, jwt: AuthSettings["jwt"]): Promise<SigningKey> {
  if (privateKey === undefined) {
    if (jwt?.hmacSecret !== undefined) return { secret: jwt.hmacSecret };
    throw new Failure("it needs auth.jwt.hmac_secret, or --private-key", EXIT_WRONG);
  }
  const key = { pem: await readPem(privateKey) };
  const algorithm = algorithmOf(key);
  if (jwt !== undefined && algorithm !== undefined && !jwt.algorithms.includes(algorithm)) {
    const message = `auth.jwt.algorithms has no ${algorithm}, by which this key signs`;
    throw new Failure(message, EXIT_WRONG);
  }
  return key;
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { message } = error as NodeJS.ErrnoException;
    throw new Failure(`cannot read ${file}: ${oneLine(message)}`, EXIT_WRONG);
  }
}

async function signed(...args: Parameters<typeof makeToken>): Promise<string> {
  try {
    return await makeToken(...args);
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    throw new Failure(`the private key ${oneLine(reason)}`, EXIT_WRONG);
  }
}

/** A server would refuse it. */
function checked(identity: object): void {
  try {
    answeredIdentity(identity);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    throw new Failure(error.message, EXIT_WRONG);
  }
}

function grants(value: string, before: readonly Grant[]): readonly Grant[] {
  const [, pattern = "", names = ""] = /^([^=]+)=([a-z,]+)$/.exec(value) ?? [];
  const actions = names.split(",").map((name) => ACTIONS.find((action) => action === name));
  if (pattern === "" || actions.includes(undefined)) {
    const example = `chat.**=${ACTIONS.slice(0, 2).join(",")}`;
    throw new InvalidArgumentError(
      `It must be a pattern and some of ${ACTIONS.join(", ")}, such as ${example}.`,
    );
  }
  return [...before, { pattern, actions: actions as Action[] }];
}
