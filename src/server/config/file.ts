/**
 * Where the configuration comes from: a YAML file, or none, and the environment, which may replace
 * secrets and addresses. What the settings mean is the affair of config.ts.
 */
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LineCounter, parseDocument, visit } from "yaml";
import { replaced } from "../../config/layers.ts";
import { configSchema } from "../../config/schema.ts";
import { type Secrets, type SecretUse, secretUses } from "../../engine/settings/secrets.ts";
import { type Host, isTable, NOT_A_SETTING, settingPaths } from "../../engine/settings/table.ts";
import { parseConfig, type ServerConfig, SettingsError } from "./config.ts";
import { CONFIG_VARIABLE, type Environment, VARIABLES } from "./environment.ts";
import { nearest } from "./nearest.ts";

export interface ConfigSource {
  /** Path of the file. */
  readonly config?: string | undefined;
  /** Folder that has the file as config.yaml. */
  readonly configDir?: string | undefined;
  readonly env: Environment;
}

/**
 * What is wrong with the configuration, one problem a line.
 *
 * @example
 * try {
 *   await loadConfig({ env: process.env });
 * } catch (error) {
 *   if (error instanceof ConfigError) console.error(error.message);
 * }
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** The file's name in a folder. */
const FILE_NAME = "config.yaml";
/** From here on one name looks like another, 0 to 1. */
const LIKE = 0.75;
/** Longest file that holds a secret, in bytes. */
const MAX_SECRET_BYTES = 65_536;

/** Paths that have settings below them; `*` stands for the places of a list. */
const TABLES: ReadonlySet<string> = new Set(
  settingPaths(configSchema).flatMap(([path]) => {
    const words = path.split(".");
    return words.map((_, index) => words.slice(0, index).join("."));
  }),
);

/**
 * The configuration of the file that was named; without one the defaults.
 *
 * @throws ConfigError
 *
 * @example
 * const config = await loadConfig({ config: "config.yaml", env: process.env });
 * const server = createServer({ config });
 */
export async function loadConfig(source: ConfigSource): Promise<ServerConfig> {
  const file = configFile(source);
  const { value, variables } = withEnvironment(await readConfigFile(file), source.env);
  try {
    return parseConfig(value, secretsOf(source.env), (path) => {
      const variable = variableOf(path, variables);
      if (variable !== undefined) return { source: "environment", origin: variable };
      return { source: "file", origin: file ?? "" };
    });
  } catch (error) {
    throw configError(error, "server", file, variables);
  }
}

/**
 * What a configuration says, unchecked: the tables of the file, with what the environment puts in their place.
 *
 * @throws ConfigError
 */
export async function loadTables(source: ConfigSource): Promise<unknown> {
  return withEnvironment(await readConfigFile(configFile(source)), source.env).value;
}

/**
 * What a configuration says of tokens. What else it says is not looked at: it may be for another host, and its secrets
 * may be elsewhere.
 *
 * @throws ConfigError
 */
export async function loadAuth(source: ConfigSource): Promise<ServerConfig["auth"]> {
  const file = configFile(source);
  const { value, variables } = withEnvironment(await readConfigFile(file), source.env);
  const { auth } = (value ?? {}) as { readonly auth?: unknown };
  try {
    return parseConfig(auth === undefined ? {} : { auth }, secretsOf(source.env)).auth;
  } catch (error) {
    throw configError(error, "server", file, variables);
  }
}

/** The file that a source names, if it does. */
export function configFile({ config, configDir }: ConfigSource): string | undefined {
  return config ?? (configDir === undefined ? undefined : join(configDir, FILE_NAME));
}

/** The file where none is named: that of the variable, or config.yaml here where there is one. */
export function configFileHere(env: Environment): string | undefined {
  // Deployments write an empty variable where they mean none.
  const named = env[CONFIG_VARIABLE];
  if (named !== undefined && named !== "") return named;
  return existsSync(FILE_NAME) ? FILE_NAME : undefined;
}

/**
 * The tables of a file, unchecked; without one there are none.
 *
 * @throws ConfigError
 */
export async function readConfigFile(file: string | undefined): Promise<unknown> {
  return file === undefined ? {} : await readYaml(file);
}

/**
 * What to throw for an error of the check: one line for each problem, with the file or the variable that it is in, and
 * with what may have been meant.
 */
export function configError(
  error: unknown,
  host: Host,
  file: string | undefined,
  variables: ReadonlyMap<string, string> = new Map(),
): unknown {
  if (!(error instanceof SettingsError)) return error;
  const lines = error.problems.map(({ path, message }) => {
    const variable = variableOf(path, variables);
    if (variable !== undefined) return `${variable}: ${message}`;
    const meant = message === NOT_A_SETTING ? meantBy(path, host) : undefined;
    const whole = meant === undefined ? message : `${message}; did you mean ${meant}?`;
    return [file, path, whole].filter(Boolean).join(": ");
  });
  return new ConfigError(lines.join("\n"));
}

/** The setting of the same table whose name is like that of one that there is not. */
function meantBy(path: string, host: Host): string | undefined {
  const words = path.split(".").map((word) => (/^\d+$/.test(word) ? "*" : word));
  const table = words.slice(0, -1);
  const names = settingPaths(configSchema, host)
    .map(([other]) => other.split("."))
    .filter((other) => table.every((word, index) => other[index] === word))
    .map((other) => other[table.length] ?? "");
  const found = nearest(words.at(-1) ?? "", new Set(names));
  return found !== undefined && found.likeness >= LIKE ? found.name : undefined;
}

/** What a file names in the place of secrets; nothing where it cannot be read, which its loader reports. */
export async function secretsIn(file: string | undefined): Promise<readonly SecretUse[]> {
  const tables = await readConfigFile(file).catch(() => undefined);
  return secretUses(configSchema, tables, "server");
}

/** Secrets as this host has them: names are variables of the environment. */
export function secretsOf(env: Environment): Secrets {
  return { named: (name) => env[name], file: readSecret };
}

/** What a file's tables become with the variables that are set, and which path each of them set. */
export function withEnvironment(
  written: unknown,
  env: Environment,
): { readonly value: unknown; readonly variables: ReadonlyMap<string, string> } {
  const variables = new Map<string, string>();
  let value = written;
  for (const [name, path] of VARIABLES) {
    const text = env[name];
    // Deployments write an empty variable where they mean none.
    if (text === undefined || text === "") continue;
    value = replaced(value, path.split("."), TABLES.has(path) ? listOf(text) : text);
    variables.set(path, name);
  }
  return { value, variables };
}

/** The variable that has set a path, or the list that it lies in. */
function variableOf(path: string, variables: ReadonlyMap<string, string>): string | undefined {
  for (const [set, name] of variables) if (path === set || path.startsWith(`${set}.`)) return name;
  return undefined;
}

/** A list out of JSON; one entry may stand alone. What is no JSON stays: parseConfig reports it. */
function listOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isTable(value) ? [value] : value;
  } catch {
    return text;
  }
}

async function readYaml(file: string): Promise<unknown> {
  const text = decode(file, await read(file));
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    logLevel: "error",
  });
  const problem = (at: number, message: string): ConfigError => {
    const { line, col } = lines.linePos(at);
    return new ConfigError(`${file}, line ${line}, column ${col}: ${message}`);
  };
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    const several = error.code === "MULTIPLE_DOCS";
    throw problem(error.pos[0], several ? "There must be one document" : error.message);
  }
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) !== undefined) return;
      throw problem(node.range?.[0] ?? 0, `There is no anchor ${node.source} before this alias`);
    },
  });
  try {
    return withTables(document.toJS(), "");
  } catch (thrown) {
    throw new ConfigError(`${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/**
 * A table or a list of tables may have nothing but comments: its key stands alone then, which YAML
 * reads as null.
 */
function withTables(value: unknown, path: string): unknown {
  if (!TABLES.has(path)) return value;
  const below = (key: string): string => (path === "" ? key : `${path}.${key}`);
  if (value === null) return TABLES.has(below("*")) ? [] : {};
  if (Array.isArray(value)) return value.map((inner: unknown) => withTables(inner, below("*")));
  if (!isTable(value)) return value;
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [
    key,
    withTables(inner, below(key)),
  ]);
  return Object.fromEntries(entries);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
};

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${reasonOf(error)}`);
  }
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    return decoded(bytes);
  } catch {
    throw new ConfigError(`${file}: is no text in UTF-8`);
  }
}

function decoded(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** The text of a secret's file, without the end of its line. @throws Error that says why there is none */
function readSecret(file: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new Error(`cannot be read: ${reasonOf(error)}`);
  }
  if (bytes.length > MAX_SECRET_BYTES) throw new Error(`holds more than ${MAX_SECRET_BYTES} bytes`);
  try {
    return decoded(bytes).replace(/\r?\n$/, "");
  } catch {
    throw new Error("is no text in UTF-8");
  }
}

function reasonOf(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}
