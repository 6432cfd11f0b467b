/**
 * The packages that are published, as others install them: built and packed out of a copy of the repository, since others use
 * what is built here.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const NAMES = ["messageloop", "messageloop-server", "create-messageloop"] as const;
/** What is no source, or of no use to the build. */
const LEFT_OUT = new Set([
  ".git",
  ".wrangler",
  "bench",
  "dist",
  "examples",
  "node_modules",
  "test",
]);

/** What npm says of an archive that it has made. */
export interface Archive {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

export interface Manifest {
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, { readonly default: string }>>;
  readonly [field: string]: unknown;
}

/**
 * Puts an archive of each package into a folder.
 *
 * @param anew builds everything; otherwise the compiler keeps what it has built already
 */
export async function packInto(
  folder: string,
  { anew = false }: { readonly anew?: boolean } = {},
): Promise<readonly Archive[]> {
  const copy = join(folder, "copy");
  // By their times the compiler knows what is newer than what it has built.
  const take = async (name: string): Promise<void> => {
    await cp(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true });
  };
  await mkdir(join(copy, "dist"), { recursive: true });
  for (const name of await readdir(root)) if (!LEFT_OUT.has(name)) await take(name);
  const built = !anew && existsSync(join(root, "dist")) ? await readdir(join(root, "dist")) : [];
  for (const name of built) {
    if (name === "lib" || name.endsWith(".tsbuildinfo")) await take(join("dist", name));
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  // What an earlier build has left must not come along.
  for (const left of ["dist/lib/stale", "dist/messageloop/lib/stale"]) {
    await mkdir(join(copy, left), { recursive: true });
    await writeFile(join(copy, left, "old.js"), "");
  }
  run(process.execPath, copy, "scripts/build.mjs");
  const folders = NAMES.map((name) => `./dist/${name}`);
  const told = run("npm", copy, "pack", "--json", "--pack-destination", folder, ...folders);
  return Object.values(JSON.parse(told) as Archive[]);
}

export async function manifestOf(place: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(place, "package.json"), "utf8")) as Manifest;
}

export interface Entries {
  /** What programs import. */
  readonly modules: readonly string[];
  /** What runs by itself where it is loaded, such as the script of a worker. */
  readonly scripts: readonly string[];
}

/** What an installed package exports of its own, neither for its server alone nor out of it: by what programs name. */
export async function entriesOf(place: string): Promise<Entries> {
  const { name, exports = {}, sideEffects } = await manifestOf(place);
  const withEffects = Array.isArray(sideEffects) ? sideEffects : [];
  const [modules, scripts]: [string[], string[]] = [[], []];
  for (const [path, { default: file }] of Object.entries(exports)) {
    if (path.includes("*")) continue;
    const text = await readFile(join(place, file), "utf8");
    if (text.includes('from "messageloop-server/')) continue;
    (withEffects.includes(file) ? scripts : modules).push(`${name}${path.slice(1)}`);
  }
  return { modules, scripts };
}

/** A program that imports each of the entries, and hands out what it has of them. */
export function importing(entries: readonly string[]): string {
  const lines = entries.map((entry, i) => `import * as entry${i} from "${entry}";`);
  const names = entries.map((entry, i) => `"${entry}": entry${i}`);
  return `${lines.join("\n")}\n\nexport const all = { ${names.join(", ")} };\n`;
}

/** Bytes of the files in a folder. */
export async function sizeOf(place: string): Promise<number> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = files.map(
    async ({ parentPath, name }) => (await stat(join(parentPath, name))).size,
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The Node that runs this comes first. */
export function environment(): NodeJS.ProcessEnv {
  const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  return { ...process.env, PATH: path, npm_config_update_notifier: "false" };
}

/** Runs a tool to its end; returns what it printed. @throws Error with all of that where it fails */
export function run(command: string, cwd: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: environment(),
  });
  if (status !== 0) throw new Error(`${command} failed: ${error ?? ""}\n${stdout}${stderr}`);
  return stdout;
}
