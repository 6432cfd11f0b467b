/** The configuration for the other host: what a Worker is built with, checked before it is deployed. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type DeploymentFacts, lockout, meaningOf } from "../../config/meaning.ts";
import { configSchema } from "../../config/schema.ts";
import { checkWithoutSecrets, type SecretUse } from "../../engine/settings/secrets.ts";
import { SettingsError } from "../../engine/settings/settings.ts";
import {
  askedByRoutes,
  kindProblems,
  unhooked,
  type WrittenHooks,
  type WrittenRoutes,
} from "../../proxy/settings/settings.ts";
import { configError, readConfigFile } from "./file.ts";

/** What a Worker takes, and what has to be there when it runs. */
export interface WorkerConfig {
  /** The tables of the file. Secrets stand there by their names. */
  readonly tables: unknown;
  /** In the order of the file. */
  readonly secrets: readonly SecretUse[];
  /** What it comes to, as sentences. */
  readonly meaning: readonly string[];
  /** What an operator should look at although it is valid. */
  readonly warnings: readonly string[];
}

/**
 * The configuration of a Worker. The environment of this process has no part in it.
 *
 * @param file undefined for the defaults
 * @throws ConfigError naming everything that a Worker cannot honour, too
 */
export async function loadWorkerConfig(file: string | undefined): Promise<WorkerConfig> {
  const tables = await readConfigFile(file);
  try {
    const secrets = checkWithoutSecrets(configSchema, tables, "worker");
    const { proxy = [] } = (tables ?? {}) as Partial<WrittenHooks>;
    const problems = kindProblems(proxy, "worker");
    if (problems.length > 0) throw new SettingsError(problems);
    const written = (tables ?? {}) as WrittenTables;
    const facts = factsOf(written);
    const lack = lockout(facts);
    return {
      tables,
      secrets,
      meaning: meaningOf(facts),
      warnings: [...unhooked(written), ...(lack === undefined ? [] : [lack])],
    };
  } catch (error) {
    throw configError(error, "worker", file);
  }
}

/** The tables as the file has them. What is a secret is not at hand, and need not be for what is looked at. */
interface WrittenTables extends WrittenRoutes {
  readonly auth?: {
    readonly required?: boolean;
    readonly jwt?: Partial<Record<"hmac_secret" | "public_key" | "jwks_url", unknown>>;
  };
  readonly api?: { readonly keys?: unknown };
  readonly limits?: { readonly connections_per_user?: number };
}

function factsOf(written: WrittenTables): DeploymentFacts {
  const { auth = {}, api = {}, hooks = {}, limits = {} } = written;
  const { hmac_secret, public_key, jwks_url } = auth.jwt ?? {};
  const tokens = [hmac_secret, public_key, jwks_url].some((key) => key !== undefined);
  const { authenticate: name, subscribe: _, compatibility, ...events } = hooks;
  const byRoutes = compatibility !== undefined;
  const routed = byRoutes && askedByRoutes(written).authenticate ? "routes" : undefined;
  const { keys = [] } = api;
  const hasKey = !Array.isArray(keys) || keys.length > 0;
  return {
    required: auth.required ?? tokens,
    tokens,
    authenticator: name === undefined ? routed : { name },
    keeper: "objects",
    findsUsers: hasKey || (limits.connections_per_user ?? 0) > 0,
    tellsEvents: byRoutes || Object.keys(events).length > 0,
  };
}

/**
 * Writes a Worker's configuration as the JSON that it imports. What is the same stays untouched, since a
 * running wrangler dev restarts when the file changes; and no reader gets half of it.
 */
export async function writeWorkerConfig({ tables }: WorkerConfig, out: string): Promise<void> {
  const text = `${JSON.stringify(tables, null, 2)}\n`;
  if ((await readFile(out, "utf8").catch(() => undefined)) === text) return;
  await mkdir(dirname(out), { recursive: true });
  const temporary = `${out}.${process.pid}`;
  await writeFile(temporary, text);
  await rename(temporary, out);
}

/** What an operator has to set before a deploy, a line for each secret; none where there is nothing. */
export function secretLines(secrets: readonly SecretUse[]): readonly string[] {
  const paths = new Map<string, string[]>();
  for (const { name = "", path } of secrets) paths.set(name, [...(paths.get(name) ?? []), path]);
  const width = Math.max(0, ...[...paths.keys()].map((name) => name.length));
  const lines = [...paths].map(([name, used]) => `  ${name.padEnd(width)}  ${used.join(", ")}`);
  return lines.length === 0
    ? []
    : ["It needs these secrets, each set once by npx wrangler secret put NAME:", ...lines];
}
