/** `check`: says whether a configuration is valid, and what its rules say of a user, without starting anything. */
import { type Command, Option } from "commander";
import { explain } from "../../access/explain.ts";
import type { AccessRules } from "../../access/rules.ts";
import { lackOf } from "../../auth/authentication.ts";
import { channelProblem } from "../../channels/names.ts";
import { patternProblem } from "../../channels/patterns.ts";
import { ACTIONS } from "../../engine/ports/access.ts";
import { NOBODY } from "../../engine/ports/identity.ts";
import { type Host, parseSettings } from "../../engine/settings/settings.ts";
import { configuredBackends } from "../../proxy/configured.ts";
import type { ServerConfig } from "../config/config.ts";
import { sentenceOf } from "../config/environment.ts";
import { ConfigError } from "../config/file.ts";
import { loadWorkerConfig, secretLines, type WorkerConfig } from "../config/worker.ts";
import {
  addConfigOptions,
  CONFIG_HELP,
  type ConfigOptions,
  fileOf,
  readConfig,
} from "./config-options.ts";
import { EXIT_FAILED, EXIT_WRONG, Failure } from "./failure.ts";
import { addHelp } from "./help.ts";
import { addJsonOption, type OutputOptions, printJson, printRow } from "./output.ts";

const HOSTS = ["server", "worker"] satisfies Host[];

const HELP = `
It reads the same as serve does, opens no port, and does not look into certificates. With --host
worker it reads the same as the build of the Worker does: nothing else of the environment counts, a
setting that Workers cannot honour is an error, and the secrets are listed that a deployment needs.
What is wrong is on standard error, one problem a line, and so is what is only warned of. With
--json a valid configuration is one line, {host, file, secrets, warnings}.

With --explain it says whether a user may do something in a channel, and which rules of access say
so. The action is one of subscribe, publish, presence, history, survey and rpc; to subscribe there may
be a pattern in place of the channel, and '' is who has not authenticated. Neither a token nor a
backend is asked, which may refuse more. With --json it is one line, {user, channel, action, allowed,
reasons}.

Exit codes: 0 when it is valid; 2 when it is not; with --explain 1 when the user may not.

${CONFIG_HELP}

Examples:
  messageloop check --config config.yaml
  messageloop check --config config.yaml --host worker
  messageloop check --config-dir /etc/messageloop
  messageloop check --config config.yaml --explain ada chat.lobby publish
  messageloop check --config config.yaml --explain '' 'chat.**' subscribe
`;

interface CheckOptions extends ConfigOptions, OutputOptions {
  readonly host: Host;
  readonly explain?: readonly string[];
  readonly client?: string;
}

export function configure(command: Command): void {
  const host = new Option("--host <host>", "whose settings they are").choices(HOSTS);
  const options = addConfigOptions(command)
    .addOption(host.default("server" satisfies Host))
    .addOption(
      new Option("--explain <words...>", "say why a user may or may not: USER CHANNEL ACTION"),
    )
    .option("--client <id>", "a client id that authentication vouches for, with --explain");
  addHelp(addJsonOption(options), HELP).action(check);
}

async function check(options: CheckOptions): Promise<void> {
  if (options.explain !== undefined) {
    explainTo(options.explain, options, await rulesOf(options));
    return;
  }
  if (options.client !== undefined) throw new Failure("--client is for --explain", EXIT_WRONG);
  if (options.host === "worker") {
    const file = fileOf(options);
    const { secrets } = await readWorkerConfig(file);
    tell(options, file, secrets, []);
    return;
  }
  const { config, file, secrets, unknown } = await readConfig(options);
  const warnings = [...config.proxy.warnings, ...lackingIn(config)];
  tell(options, file, secrets, [...unknown.map(sentenceOf), ...warnings]);
}

/** That nobody says who clients are, though somebody must: a program around the server may have who does. */
function lackingIn({ auth, proxy }: ServerConfig): readonly string[] {
  const reached = { authenticate: async () => NOBODY };
  const lack = lackOf(
    auth,
    configuredBackends(proxy, () => reached),
  );
  return lack === undefined ? [] : [`${lack.message}; serve does not start without`];
}

/** @throws Failure with one line for each problem */
export async function readWorkerConfig(file: string | undefined): Promise<WorkerConfig> {
  try {
    return await loadWorkerConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) throw new Failure(error.message, EXIT_WRONG);
    throw error;
  }
}

function tell(
  { host, json }: CheckOptions,
  file: string | undefined,
  secrets: WorkerConfig["secrets"],
  warnings: readonly string[],
): void {
  if (json) {
    printJson({ host, file: file ?? null, secrets, warnings });
    return;
  }
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
  const suffix = host === "worker" ? " for Workers" : "";
  process.stdout.write(`${file ?? "the configuration without a file"} is valid${suffix}\n`);
  // Here they are there: they have been read.
  if (host === "server") return;
  for (const line of secretLines(secrets)) process.stdout.write(`${line}\n`);
}

/** @throws Failure as a check without --explain does */
async function rulesOf(options: CheckOptions): Promise<AccessRules> {
  if (options.host === "server") return (await readConfig(options)).config.settings.access;
  const { tables } = await readWorkerConfig(fileOf(options));
  const { access } = (tables ?? {}) as { readonly access?: unknown };
  return parseSettings({ access }).access;
}

/** Prints why somebody may or may not do something. */
function explainTo(
  words: readonly string[],
  { client, json }: CheckOptions,
  rules: AccessRules,
): void {
  const [user = "", channel = "", name] = words;
  const action = ACTIONS.find((one) => one === name);
  if (words.length !== 3 || action === undefined) {
    const text = `--explain takes a user, a channel, and one of ${ACTIONS.join(", ")}`;
    throw new Failure(text, EXIT_WRONG);
  }
  const problem = action === "subscribe" ? patternProblem(channel) : channelProblem(channel);
  if (problem !== undefined) throw new Failure(problem, EXIT_WRONG);
  const subject = {
    userId: user,
    clientId: client ?? "",
    clientVouched: client !== undefined,
    grants: undefined,
  };
  const { allowed, reasons } = explain(rules, subject, action, channel);
  if (json === true) printJson({ user, channel, action, allowed, reasons });
  else {
    const who = user === "" ? "nobody in particular" : user;
    printRow(`${allowed ? "allowed" : "refused"}: ${who}, ${action}, ${channel}`);
    for (const reason of reasons) printRow(`  ${reason}`);
  }
  if (!allowed) process.exitCode = EXIT_FAILED;
}
