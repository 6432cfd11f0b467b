/**
 * Where the configuration comes from: a YAML file, or none, and the environment, which may replace
 * secrets and addresses. What the settings mean is the affair of config.ts.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LineCounter, parseDocument, visit } from "yaml";
import { parseConfig, SERVER_SETTING_PATHS, type ServerConfig, SettingsError } from "./config.ts";
import { type Environment, VARIABLES } from "./environment.ts";

export interface ConfigSource {
  /** Path of the file. */
  readonly config?: string | undefined;
  /** Folder that has the file as config.yaml. */
  readonly configDir?: string | undefined;
  readonly env: Environment;
}

/** What is wrong with the configuration, one problem a line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Paths that have settings below them; `*` stands for the places of a list. */
const TABLES: ReadonlySet<string> = new Set(
  SERVER_SETTING_PATHS.flatMap(([path]) => {
    const words = path.split(".");
    return words.map((_, index) => words.slice(0, index).join("."));
  }),
);

/**
 * The configuration of the file that was named; without one the defaults.
 *
 * @throws ConfigError
 */
export async function loadConfig(source: ConfigSource): Promise<ServerConfig> {
  const file = configFile(source);
  const written = file === undefined ? {} : await readYaml(file);
  const { value, variables } = withEnvironment(written, source.env);
  try {
    return parseConfig(value);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const lines = error.problems.map(({ path, message }) => {
      const variable = variables.get(path);
      if (variable !== undefined) return `${variable}: ${message}`;
      return [file, path, message].filter(Boolean).join(": ");
    });
    throw new ConfigError(lines.join("\n"));
  }
}

/** The file that a source names, if it does. */
export function configFile({ config, configDir }: ConfigSource): string | undefined {
  return config ?? (configDir === undefined ? undefined : join(configDir, "config.yaml"));
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
    value = replaced(value, path.split("."), text);
    variables.set(path, name);
  }
  return { value, variables };
}

/** A table with another value at a path. What is no table stays: parseConfig tells of it. */
function replaced(value: unknown, [key, ...rest]: readonly string[], text: string): unknown {
  if (key === undefined) return text;
  if (!isTable(value ?? {})) return value;
  const table = { ...(value as Record<string, unknown> | undefined) };
  // The other name of an address would contradict the variable.
  if (key === "addr") delete table["address"];
  return { ...table, [key]: replaced(table[key], rest, text) };
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
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new ConfigError(`cannot read ${file}: ${REASONS[code] ?? message}`);
  }
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(`${file}: is no text in UTF-8`);
  }
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === "[object Object]";
}
