/**
 * Tables of settings: checked so that every problem is told at once with its path, and listed with
 * their defaults. Which settings there are is not known here.
 */
import * as v from "valibot";

/** What is wrong with one setting; the path has dots, and is empty for the settings as a whole. */
export interface SettingProblem {
  readonly path: string;
  readonly message: string;
}

/** Everything that is wrong with the settings, so that an operator mends them in one go. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly problems: readonly SettingProblem[];

  constructor(problems: readonly SettingProblem[]) {
    super(problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("\n"));
    this.problems = problems;
  }
}

const NOT_A_TABLE = "must be a table of settings";

/** A group of settings; what is none of its entries is an error, which checkSettings finds. */
export function table<const Entries extends v.ObjectEntries>(entries: Entries) {
  return v.object(entries, ({ expected }) => (expected === "Object" ? NOT_A_TABLE : "is missing"));
}

/**
 * The output of a schema made of tables, or every problem at once.
 *
 * @throws SettingsError
 */
export function checkSettings<Schema extends SettingsSchema>(
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortPipeEarly: true });
  const issues = (result.issues ?? [])
    // What should be a table and is none has been reported by misfits already.
    .filter(({ expected }) => expected !== "Object")
    .map((issue) => ({ path: v.getDotPath(issue) ?? "", message: issue.message }));
  const problems = [...misfits(schema, value, ""), ...issues];
  if (!result.success || problems.length > 0) throw new SettingsError(problems);
  return result.output;
}

/** Every path below a schema with its default; `*` stands for the places of a list of tables. */
export function settingPaths(schema: SettingsSchema, path = ""): SettingPath[] {
  const inner = schema.wrapped ?? schema;
  if (inner.item?.entries !== undefined) return settingPaths(inner.item, below(path, "*"));
  if (inner.entries === undefined) {
    return [[path, v.getDescription(inner) ?? written(schema.default)]];
  }
  return Object.entries(inner.entries).flatMap(([key, entry]) =>
    settingPaths(entry, below(path, key)),
  );
}

/**
 * Keys that are no settings, and other things where a table should be. The library's own check
 * takes a list for a table, and tells of the first unknown key only.
 */
function misfits(schema: SettingsSchema, value: unknown, path: string): SettingProblem[] {
  const { entries, item } = schema.wrapped ?? schema;
  if (item !== undefined && Array.isArray(value)) {
    return value.flatMap((element, index) => misfits(item, element, below(path, `${index}`)));
  }
  if (entries === undefined || value === undefined) return [];
  if (!isTable(value)) return [{ path, message: NOT_A_TABLE }];
  return Object.entries(value).flatMap(([key, inner]) => {
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined;
    return entry === undefined
      ? [{ path: below(path, key), message: "is not a setting" }]
      : misfits(entry, inner, below(path, key));
  });
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function below(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function written(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A dotted path and the default, both as an operator would write them. */
export type SettingPath = readonly [path: string, standard: string];

/** A schema as far as this file looks into it: an optional value, a table, a list or a leaf. */
export type SettingsSchema = v.GenericSchema & {
  readonly wrapped?: SettingsSchema;
  readonly entries?: Readonly<Record<string, SettingsSchema>>;
  readonly item?: SettingsSchema;
  readonly default?: unknown;
};
