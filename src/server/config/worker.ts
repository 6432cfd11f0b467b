/** The configuration for the other host: what a Worker is built with, checked before it is deployed. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { configSchema } from "../../config/schema.ts";
import { checkWithoutSecrets, type SecretUse } from "../../engine/settings/secrets.ts";
import { SettingsError } from "../../engine/settings/settings.ts";
import { kindProblems, type WrittenHooks } from "../../proxy/settings/settings.ts";
import { configError, readConfigFile } from "./file.ts";

/** What a Worker takes, and what has to be there when it runs. */
export interface WorkerConfig {
  /** The tables of the file. Secrets stand there by their names. */
  readonly tables: unknown;
  /** In the order of the file. */
  readonly secrets: readonly SecretUse[];
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
    return { tables, secrets };
  } catch (error) {
    throw configError(error, "worker", file);
  }
}

/**
 * Writes a Worker's configuration as the JSON that it imports. What is the same stays untouched, since a
 * running wrangler dev restarts when the file changes; and nobody reads half of it.
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
