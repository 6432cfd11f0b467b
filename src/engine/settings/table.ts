/**
 * Tables of settings: checked so that every problem is reported at once with its path, and listed with
 * their defaults. Which settings there are is not known here.
 */
import * as v from "valibot";

/** What is wrong with one setting; the path has dots, and is empty for the settings as a whole. */
export interface SettingProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Everything that is wrong with the settings, so that an operator mends them in one go.
 *
 * @example
 * try {
 *   parseConfig({ limits: { channels: 0 } });
 * } catch (error) {
 *   if (error instanceof SettingsError) for (const { path, message } of error.problems) console.error(path, message);
 * }
 */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly problems: readonly SettingProblem[];

  constructor(problems: readonly SettingProblem[]) {
    super(problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("\n"));
    this.problems = problems;
  }
}

/** The hosts, by their names on the command line. */
export type Host = "server" | "worker";

/** What hosts are called in sentences. */
export const HOST_NAMES: Readonly<Record<Host, string>> = {
  server: "the self-hosted server",
  worker: "Workers",
};

/** What is said of a key that no host has. */
export const NOT_A_SETTING = "is not a setting";
const NOT_A_TABLE = "must be a table of settings";

/** A group of settings; what is none of its entries is an error, which checkSettings finds. */
export function table<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, ({ expected }) => (expected === "Object" ? NOT_A_TABLE : "is missing"));
}

/** The dotted path of a setting, or of one below it, and what is wrong with it. */
export type Wrong<Table extends object> = readonly [
  path: (keyof Table & string) | `${keyof Table & string}.${string}`,
  message: string,
];

/**
 * Refuses settings of one table that do not go together.
 *
 * @param found names each setting that is wrong, and says what is wrong with it
 */
export function together<Table extends object>(found: (table: Table) => readonly Wrong<Table>[]) {
  return refusing(found);
}

/**
 * Refuses a table of a list that has a name which one before it has.
 *
 * @param key has the name
 * @param list what the list is called
 */
export function distinct<Table extends object>(
  key: keyof Table & string,
  list: string,
  nameOf: (table: Table, place: number) => string,
) {
  return refusing((tables: Table[]) => {
    const names = tables.map(nameOf);
    return names.flatMap((name, place): [string, string][] => {
      const first = names.indexOf(name);
      const message = `is the ${key} of ${list}.${first} already`;
      return first === place ? [] : [[`${place}.${key}`, message]];
    });
  });
}

function refusing<Value>(
  found: (value: Value) => readonly (readonly [path: string, message: string])[],
) {
  return v.rawCheck<Value>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const [path, message] of found(dataset.value)) {
      let value: unknown = dataset.value;
      const [first = "", ...below] = path.split(".").map((key) => {
        const input = value as Readonly<Record<string, unknown>>;
        value = input[key];
        return { type: "unknown", origin: "value", input, key, value } as const;
      });
      if (first !== "") addIssue({ message, path: [first, ...below] });
    }
  });
}

/**
 * A setting, or a table of them, that one host alone has: any other refuses it by its path. It stands around all
 * else that is said of the setting.
 *
 * @param why what an operator that meets the refusal has to know, as the rest of a sentence
 * @example
 * reflection: only("server", v.optional(switches, false), "Workers have no gRPC port"),
 */
export function only<const Schema extends SettingsSchema>(
  host: Host,
  schema: Schema,
  why?: string,
): Schema {
  return { ...schema, only: { host, why } };
}

/**
 * The output of a schema made of tables, or every problem at once.
 *
 * @param host whose settings they are; one that another host alone has is a problem, and what it holds is not
 * looked at. Undefined takes those of every host.
 * @throws SettingsError
 */
export function checkSettings<Schema extends SettingsSchema>(
  schema: Schema,
  value: unknown,
  host?: Host,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  const issues = (result.issues ?? [])
    // What should be a table and is none has been reported by misfits already.
    .filter(({ type, expected }) => type !== "object" || expected !== "Object")
    .map((issue) => ({ path: v.getDotPath(issue) ?? "", message: issue.message }))
    .filter(({ path }) => hasPath(host, schema, path.split(".")));
  const problems = [...misfits(schema, value, "", host), ...issues];
  if (!result.success || problems.length > 0) throw new SettingsError(problems);
  return result.output;
}

/**
 * Every path below a schema with its default; `*` stands for the places of a list of tables.
 *
 * @param host whose settings alone; undefined for those of every host
 */
export function settingPaths(schema: SettingsSchema, host?: Host, path = ""): SettingPath[] {
  if (!has(host, schema)) return [];
  const inner = schema.wrapped ?? schema;
  if (inner.item?.entries !== undefined) return settingPaths(inner.item, host, below(path, "*"));
  if (inner.entries === undefined) {
    return [[path, v.getDescription(inner) ?? written(schema.default)]];
  }
  return Object.entries(inner.entries).flatMap(([key, entry]) =>
    settingPaths(entry, host, below(path, key)),
  );
}

/**
 * Keys that are no settings of a host, and other things where a table should be. The library's own check
 * takes a list for a table, and reports the first unknown key only.
 */
function misfits(
  schema: SettingsSchema,
  value: unknown,
  path: string,
  host: Host | undefined,
): SettingProblem[] {
  // A table of which only comments are left asks for nothing.
  if (schema.only !== undefined && !has(host, schema)) {
    return isEmpty(value) ? [] : [{ path, message: refusal(schema.only) }];
  }
  const { entries, item } = schema.wrapped ?? schema;
  if (item !== undefined && Array.isArray(value)) {
    return value.flatMap((element, index) => misfits(item, element, below(path, `${index}`), host));
  }
  if (entries === undefined || value === undefined) return [];
  if (!isTable(value)) return [{ path, message: NOT_A_TABLE }];
  return Object.entries(value).flatMap(([key, inner]) => {
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined;
    return entry === undefined
      ? [{ path: below(path, key), message: NOT_A_SETTING }]
      : misfits(entry, inner, below(path, key), host);
  });
}

/** Whether a host has what a schema is for. */
export function has(host: Host | undefined, { only }: SettingsSchema): boolean {
  return host === undefined || only === undefined || only.host === host;
}

/** Whether a host has all that lies on the way to a path. */
function hasPath(
  host: Host | undefined,
  schema: SettingsSchema,
  [key = "", ...rest]: readonly string[],
): boolean {
  if (!has(host, schema)) return false;
  const { entries, item } = schema.wrapped ?? schema;
  const next = item ?? entries?.[key];
  return next === undefined || hasPath(host, next, rest);
}

function refusal({ host, why }: HostMark): string {
  const sentence = `is a setting of ${HOST_NAMES[host]} alone`;
  return why === undefined ? sentence : `${sentence}; ${why}`;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || (isTable(value) && Object.values(value).every(isEmpty));
}

/** Whether a value is a table, as configurations have them: an object, and no list. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** The path of an entry of a table or a list. */
export function below(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** Whether a path is another one, or that of something in it. */
export function isWithin(path: string, outer: string): boolean {
  return outer === "" || path === outer || path.startsWith(`${outer}.`);
}

function written(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What the schema of a setting is marked with that one host alone has. */
export interface HostMark {
  readonly host: Host;
  readonly why: string | undefined;
}

/** What the schema of a setting is marked with whose value may stand elsewhere, being a secret. */
export interface SecretMark {
  /** What the secret holds: the setting's text, or its list as JSON. */
  readonly form: "text" | "list";
  /** A value for checks that are made where the secret is not: whatever they find in it is nobody's mistake. */
  readonly sample: unknown;
  /** Whether it may become part of a Worker's code. */
  readonly bundled: boolean;
  /** Keys under which it may not all the same, in a table of any keys. */
  readonly unless?: RegExp | undefined;
}

/** A dotted path and the default, both as an operator would write them. */
export type SettingPath = readonly [path: string, standard: string];

/** A schema as far as this file looks into it: an optional value, a table, a list or a leaf. */
export type SettingsSchema = v.GenericSchema & {
  readonly only?: HostMark;
  readonly secret?: SecretMark;
  readonly wrapped?: SettingsSchema;
  readonly entries?: Readonly<Record<string, SettingsSchema>>;
  readonly item?: SettingsSchema;
  /** Of a table whose keys are the operator's. */
  readonly value?: SettingsSchema;
  readonly default?: unknown;
};
