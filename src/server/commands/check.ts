/** `check`: says whether a configuration is valid, and what its rules say of a user, without starting anything. */
import { type Command, Option } from "commander";
import {
  type Explanation,
  explainAsked,
  type Question,
  QuestionProblem,
} from "../../access/explain.ts";
import type { AccessRules } from "../../access/rules.ts";
import { type DeploymentFacts, lockout, meaningOf } from "../../config/meaning.ts";
import { ACTIONS } from "../../engine/ports/access.ts";
import { NOBODY } from "../../engine/ports/identity.ts";
import { type Host, parseSettings } from "../../engine/settings/settings.ts";
import { configuredBackends } from "../../proxy/configured.ts";
import type { ServerConfig } from "../config/config.ts";
import { sentenceOf } from "../config/environment.ts";
import { loadWorkerConfig, secretLines, type WorkerConfig } from "../config/worker.ts";
import {
  addConfigOptions,
  CONFIG_HELP,
  type ConfigOptions,
  fileOf,
  readConfig,
  valid,
} from "./config-options.ts";
import { EXIT_FAILED, EXIT_WRONG, Failure } from "./failure.ts";
import { addHelp } from "./help.ts";
import { addJsonOption, type OutputOptions, printJson, printRow } from "./output.ts";

const HOSTS = ["server", "worker"] satisfies Host[];

const HELP = `
It reads the same as serve does, opens no port, and does not look into certificates. With --host
worker it reads the same as the build of the Worker does: nothing else of the environment counts, a
setting that Workers cannot honour is an error, and the secrets are listed that a deployment needs.
Of a valid configuration it says what that means on the host: who clients are, and what outlives a
process. What is wrong is on standard error, one problem a line, and so is what is only warned of.
With --json a valid configuration is one line, {host, file, secrets, meaning, warnings}.

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
    tell(options, file, await valid(loadWorkerConfig(file)));
    return;
  }
  const { config, file, secrets, unknown } = await readConfig(options);
  const facts = factsOf(config);
  const lack = lockout(facts);
  const warnings = [...config.proxy.warnings, ...(lack === undefined ? [] : [lack])];
  tell(options, file, {
    secrets,
    meaning: meaningOf(facts),
    warnings: [...unknown.map(sentenceOf), ...warnings],
  });
}

function factsOf({ auth, proxy, redis, api, settings }: ServerConfig): DeploymentFacts {
  const asked = configuredBackends(proxy, () => ({ authenticate: async () => NOBODY }));
  const { authenticate: name, byRoutes, events } = proxy.hooks;
  const routed = byRoutes && asked.authenticate !== undefined ? "routes" : undefined;
  return {
    required: auth.required,
    tokens: auth.jwt !== undefined,
    authenticator: name === undefined ? routed : { name },
    keeper: redis === undefined ? "memory" : "redis",
    findsUsers: api.keys.length > 0 || settings.maxUserConnections > 0,
    tellsEvents: byRoutes || Object.values(events).some((one) => one !== undefined),
  };
}

function tell(
  { host, json }: CheckOptions,
  file: string | undefined,
  { secrets, meaning, warnings }: Pick<WorkerConfig, "secrets" | "meaning" | "warnings">,
): void {
  if (json) {
    printJson({ host, file: file ?? null, secrets, meaning, warnings });
    return;
  }
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
  const suffix = host === "worker" ? " for Workers" : "";
  process.stdout.write(`${file ?? "the configuration without a file"} is valid${suffix}\n`);
  for (const sentence of meaning) process.stdout.write(`${sentence}\n`);
  // Here they are there: they have been read.
  if (host === "server") return;
  for (const line of secretLines(secrets)) process.stdout.write(`${line}\n`);
}

/** @throws Failure as a check without --explain does */
async function rulesOf(options: CheckOptions): Promise<AccessRules> {
  if (options.host === "server") return (await readConfig(options)).config.settings.access;
  const { tables } = await valid(loadWorkerConfig(fileOf(options)));
  const { access } = (tables ?? {}) as { readonly access?: unknown };
  return parseSettings({ access }).access;
}

/** Prints why a user may or may not do something. */
function explainTo(
  words: readonly string[],
  { client, json }: CheckOptions,
  rules: AccessRules,
): void {
  const [user = "", channel = "", action = ""] = words;
  if (words.length !== 3 || !ACTIONS.some((one) => one === action)) {
    const text = `--explain takes a user, a channel, and one of ${ACTIONS.join(", ")}`;
    throw new Failure(text, EXIT_WRONG);
  }
  const { allowed, reasons } = answered(rules, { user, channel, action, client });
  if (json === true) printJson({ user, channel, action, allowed, reasons });
  else {
    const who = user === "" ? "nobody in particular" : user;
    printRow(`${allowed ? "allowed" : "refused"}: ${who}, ${action}, ${channel}`);
    for (const reason of reasons) printRow(`  ${reason}`);
  }
  if (!allowed) process.exitCode = EXIT_FAILED;
}

function answered(rules: AccessRules, question: Question): Explanation {
  try {
    return explainAsked(rules, question);
  } catch (error) {
    if (error instanceof QuestionProblem) throw new Failure(error.message, EXIT_WRONG);
    throw error;
  }
}
