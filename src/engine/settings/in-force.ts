/** The settings that are in force, as an operator reads them: what each is, and where it comes from. Nothing of a secret. */
import {
  below,
  type Host,
  has,
  isTable,
  type SecretMark,
  type SettingsSchema,
  settingPaths,
} from "./table.ts";

export const SOURCES = ["default", "file", "environment", "flag", "program"] as const;

/** Where the value of a setting comes from. */
export interface Origin {
  readonly source: (typeof SOURCES)[number];
  /** The file, the variable or the flag; empty where there is no more to say. */
  readonly origin: string;
}

/** A setting that is in force. */
export interface SettingInForce extends Origin {
  /** Such as `limits.channels`, or `channels.0.pattern` in the first table of a list. */
  readonly path: string;
  /** As an operator writes it, a list as JSON; empty for a secret. */
  readonly value: string;
  readonly secret: boolean;
}

/** Characters of a value that are shown. */
const MAX_VALUE = 4_096;
const DEFAULT: Origin = { source: "default", origin: "" };

/**
 * Every setting of a host. In lists of tables there are those that were written.
 *
 * @param written the tables as they were written: where a secret stands by its name, its name stands
 * @param originOf where what was written at a path comes from
 * @example
 * settingsInForce(schema, { limits: { channels: 10 } }, "server", () => ({ source: "file", origin: "config.yaml" }));
 * // [{ path: "limits.channels", value: "10", source: "file", origin: "config.yaml", secret: false }, …]
 */
export function settingsInForce(
  schema: SettingsSchema,
  written: unknown,
  host: Host,
  originOf: (path: string) => Origin,
): SettingInForce[] {
  return new Reader(schema, host, originOf).read(schema, written, "", true);
}

/** Another value in the place of one of a list. */
export function withSetting(
  all: readonly SettingInForce[],
  setting: SettingInForce,
): SettingInForce[] {
  return all.map((one) => (one.path === setting.path ? setting : one));
}

class Reader {
  readonly #host: Host;
  readonly #originOf: (path: string) => Origin;
  readonly #defaults: ReadonlyMap<string, string>;

  constructor(schema: SettingsSchema, host: Host, originOf: (path: string) => Origin) {
    this.#host = host;
    this.#originOf = originOf;
    this.#defaults = new Map(settingPaths(schema, host));
  }

  /** @param all whether what was not written stands there with its default */
  read(schema: SettingsSchema, value: unknown, path: string, all: boolean): SettingInForce[] {
    if (!has(this.#host, schema)) return [];
    const inner = schema.wrapped ?? schema;
    const { entries, item, secret } = inner;
    if (value === undefined && (!all || (entries !== undefined && isAbsent(schema)))) return [];
    if (entries !== undefined) {
      const table = isTable(value) ? value : {};
      return Object.entries(entries).flatMap(([key, entry]) =>
        this.read(entry, table[key], below(path, key), all),
      );
    }
    if (value === undefined) {
      const standard = this.#defaults.get(path) ?? shown(schema.default ?? "none");
      return [{ path, value: standard, secret: false, ...DEFAULT }];
    }
    if (secret !== undefined && !isOpen(secret, path)) return [this.#hidden(value, path)];
    if (inner.type === "record" && inner.value !== undefined && isTable(value)) {
      const { value: of } = inner;
      return Object.entries(value).flatMap(([key, one]) =>
        this.read(of, one, below(path, key), false),
      );
    }
    if (item?.entries !== undefined && Array.isArray(value) && value.length > 0) {
      return value.flatMap((one, place) => this.read(item, one, below(path, `${place}`), false));
    }
    if (item?.secret !== undefined) return [this.#hidden(value, path)];
    // What a reference names is no secret here, such as a public key in a file.
    return [{ path, value: shown(value), secret: false, ...this.#originOf(path) }];
  }

  /** What names a secret says where it is. */
  #hidden(value: unknown, path: string): SettingInForce {
    const { secret: name, file } = isTable(value) ? value : {};
    const origin: Origin =
      typeof name === "string"
        ? { source: "environment", origin: name }
        : typeof file === "string"
          ? { source: "file", origin: file }
          : this.#originOf(path);
    return { path, value: "", secret: true, ...origin };
  }
}

/** Whether a table that was not written is not there at all, in the place of one with all its defaults. */
function isAbsent({ default: standard, type }: SettingsSchema): boolean {
  return type === "optional" && standard === undefined;
}

/** A text that may stand elsewhere and is no secret all the same. */
function isOpen({ bundled, form, unless }: SecretMark, path: string): boolean {
  return form === "text" && bundled && unless?.test(path.replace(/^.*\./, "")) !== true;
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return withoutCredentials(text).slice(0, MAX_VALUE);
}

/** What an address may hold that lets a caller in: a user's name with a password, and what stands after a question mark. */
function withoutCredentials(text: string): string {
  return text.replace(/(:\/\/)[^/?#@\s"]*@/g, "$1…@").replace(/(:\/\/[^?#\s"]*\?)[^#\s"]*/g, "$1…");
}
