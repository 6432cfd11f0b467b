/**
 * Secrets among the settings: each may stand elsewhere, and its place in the configuration says where, by
 * `{secret: NAME}` or `{file: PATH}`. What a name means is the host's affair.
 */
import type * as v from "valibot";
import {
  below,
  checkSettings,
  type Host,
  has,
  isTable,
  isWithin,
  type SecretMark,
  type SettingProblem,
  SettingsError,
  type SettingsSchema,
} from "./table.ts";

/** Where a host has its secrets. No error that is thrown here may hold one. */
export interface Secrets {
  /** The secret of a name; undefined where there is none. */
  named(name: string): unknown;
  /**
   * The text of a file. A host without files has no such function.
   *
   * @throws Error that says why it cannot be read
   */
  file?(path: string): string;
}

/** A secret that a configuration needs. */
export interface SecretUse {
  /** The setting. */
  readonly path: string;
  /** Name of the secret; undefined for one in a file. */
  readonly name: string | undefined;
  /** Path of the file; undefined for one with a name. */
  readonly file: string | undefined;
}

const NAME = /^[A-Za-z_]\w{0,127}$/;
const NOT_A_REFERENCE =
  "must be {secret: NAME} or {file: PATH}, where it does not stand here itself";
const NOT_A_NAME = "must be a name of letters, digits and underscores such as JWT_SECRET";
/** Long enough for every least length. */
const SAMPLE_TEXT = "s".repeat(64);

/**
 * A text that is a secret. Workers take it by name alone, since their configuration is part of their code.
 *
 * @param schema takes the text
 * @param sample a text that it takes
 */
export function secretText<const Schema extends SettingsSchema>(
  schema: Schema,
  sample = SAMPLE_TEXT,
): Schema {
  return { ...schema, secret: { form: "text", sample, bundled: false } };
}

/**
 * A text that is no secret and may stand elsewhere all the same, such as a public key in a file. A check without it
 * leaves out what its table says of several keys together.
 *
 * @param unless keys of a table of any keys under which it is a secret
 */
export function textElsewhere<const Schema extends SettingsSchema>(
  schema: Schema,
  unless?: RegExp,
): Schema {
  return { ...schema, secret: { form: "text", sample: null, bundled: true, unless } };
}

/** A list that may stand in a secret as JSON. What must not be bundled with a Worker are secret texts in it. */
export function secretList<const Schema extends SettingsSchema>(schema: Schema): Schema {
  return { ...schema, secret: { form: "list", sample: [], bundled: true } };
}

/**
 * Settings of a host with the secrets that they name.
 *
 * @throws SettingsError naming the path of all that is wrong, and nothing of a secret
 * @example
 * const { broker } = readSettings(schema, parsed, "server", { named: (name) => process.env[name] });
 */
export function readSettings<Schema extends SettingsSchema>(
  schema: Schema,
  value: unknown,
  host: Host,
  secrets: Secrets,
): v.InferOutput<Schema> {
  const opening = new Opening(host, secrets);
  const opened = opening.open(schema, value, "");
  const { problems, uses } = opening;
  try {
    const output = checkSettings(schema, opened, host);
    if (problems.length === 0) return output;
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const told = error.problems.filter(({ path }) => !isIn(path, problems));
    problems.push(...told.map((problem) => withPlace(problem, uses)));
  }
  throw new SettingsError(problems);
}

/**
 * Checks settings of a host where its secrets are not at hand: everything but what the secrets hold.
 *
 * @returns the secrets that the host has to have, in the order of the configuration
 * @throws SettingsError naming the path of all that is wrong
 */
export function checkWithoutSecrets(
  schema: SettingsSchema,
  value: unknown,
  host: Host,
): readonly SecretUse[] {
  const opening = new Opening(host, undefined);
  const opened = opening.open(schema, value, "");
  const { problems, uses } = opening;
  try {
    checkSettings(schema, opened, host);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    problems.push(...error.problems.filter(({ path }) => !isIn(path, [...problems, ...uses])));
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return uses;
}

/** The secrets that settings of a host ask for, even if other things are wrong with them. */
export function secretUses(
  schema: SettingsSchema,
  value: unknown,
  host: Host,
): readonly SecretUse[] {
  const opening = new Opening(host, undefined);
  opening.open(schema, value, "");
  return opening.uses;
}

/** Puts secrets in the place of what names them. */
class Opening {
  readonly problems: SettingProblem[] = [];
  readonly uses: SecretUse[] = [];
  readonly #host: Host;
  /** Undefined where they are not at hand: samples stand in for them. */
  readonly #secrets: Secrets | undefined;

  constructor(host: Host, secrets: Secrets | undefined) {
    this.#host = host;
    this.#secrets = secrets;
  }

  open(schema: SettingsSchema, value: unknown, path: string): unknown {
    // What the host does not have is refused as a whole.
    if (value === undefined || !has(this.#host, schema)) return value;
    const inner = schema.wrapped ?? schema;
    const { item, secret } = inner;
    if (secret !== undefined) {
      if (isTable(value) && ("secret" in value || "file" in value)) {
        return this.#reference(secret, value, path);
      }
      const bundled = secret.bundled && secret.unless?.test(path.replace(/^.*\./, "")) !== true;
      if (!bundled && this.#host === "worker" && typeof value === "string") {
        const message =
          "is a secret, which must not stand here: write {secret: NAME}, and set it by wrangler secret put NAME";
        this.problems.push({ path, message });
        return value;
      }
    }
    if (item !== undefined && Array.isArray(value)) {
      return value.map((one, index) => this.open(item, one, below(path, `${index}`)));
    }
    if (!isTable(value)) return value;
    const opened = Object.entries(value).map(([key, one]): [string, unknown] => {
      const entry = entryOf(inner, key);
      return [key, entry === undefined ? one : this.open(entry, one, below(path, key))];
    });
    return Object.fromEntries(opened);
  }

  #reference(mark: SecretMark, value: Readonly<Record<string, unknown>>, path: string): unknown {
    const { secret: name, file, ...others } = value;
    const both = name !== undefined && file !== undefined;
    if (both || Object.keys(others).length > 0) return this.#wrong(mark, path, NOT_A_REFERENCE);
    if (file !== undefined) return this.#inFile(mark, file, path);
    if (typeof name !== "string" || !NAME.test(name)) {
      return this.#wrong(mark, below(path, "secret"), NOT_A_NAME);
    }
    this.uses.push({ path, name, file: undefined });
    if (this.#secrets === undefined) return mark.sample;
    const found = this.#secrets.named(name);
    if (found === undefined) return this.#wrong(mark, path, absence(this.#host, name));
    return this.#value(mark, path, found, `the secret ${name}`);
  }

  #inFile(mark: SecretMark, file: unknown, path: string): unknown {
    const place = below(path, "file");
    if (this.#host === "worker") {
      const message =
        "is for the self-hosted server alone, since Workers have no files: write {secret: NAME}";
      return this.#wrong(mark, place, message);
    }
    if (typeof file !== "string" || file === "") {
      return this.#wrong(mark, place, "must be the path of a file");
    }
    this.uses.push({ path, name: undefined, file });
    if (this.#secrets?.file === undefined) return mark.sample;
    let text: string;
    try {
      text = this.#secrets.file(file);
    } catch (error) {
      return this.#wrong(mark, place, error instanceof Error ? error.message : String(error));
    }
    return this.#value(mark, path, text, `the file ${file}`);
  }

  /** What a secret's text comes to. */
  #value(mark: SecretMark, path: string, text: unknown, where: string): unknown {
    if (typeof text !== "string") return this.#wrong(mark, path, `must be a text in ${where}`);
    if (text === "") return this.#wrong(mark, path, `is missing: ${where} is empty`);
    if (mark.form === "text") return text;
    try {
      const list: unknown = JSON.parse(text);
      // One entry may stand alone.
      return isTable(list) ? [list] : list;
    } catch {
      // The parser's own words quote what it reads.
      return this.#wrong(mark, path, `must be a list as JSON in ${where}`);
    }
  }

  #wrong({ sample }: SecretMark, path: string, message: string): unknown {
    this.problems.push({ path, message });
    return sample;
  }
}

/** What a table says of a key. One whose keys are the operator's says the same of all. */
function entryOf(
  { type, entries, value }: SettingsSchema,
  key: string,
): SettingsSchema | undefined {
  if (type === "record") return value;
  return entries !== undefined && Object.hasOwn(entries, key) ? entries[key] : undefined;
}

function absence(host: Host, name: string): string {
  return host === "worker"
    ? `is missing: there is no secret ${name}, which wrangler secret put ${name} sets`
    : `is missing: the environment has no variable ${name}`;
}

/** Whether a path is one of some others, or lies in one. */
function isIn(path: string, others: readonly { readonly path: string }[]): boolean {
  return others.some((other) => isWithin(path, other.path));
}

/** A problem with the secret that it is in, if it is in one. */
function withPlace(problem: SettingProblem, uses: readonly SecretUse[]): SettingProblem {
  const use = uses.find((other) => isWithin(problem.path, other.path));
  if (use === undefined) return problem;
  const place = use.name === undefined ? `the file ${use.file}` : `the secret ${use.name}`;
  return { path: problem.path, message: `${problem.message} (in ${place})` };
}
