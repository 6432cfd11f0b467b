/** A project as somebody makes it by `npm create messageloop`, whose MessageLoop is what was packed here. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lockOf } from "../../scripts/packages/lock.mjs";
import { eventually } from "../../test/support/eventually.ts";
import { type Archive, environment, manifestOf, run } from "../../test/support/packed.ts";

/** Beyond what a start takes on a busy machine, in milliseconds. */
const PATIENCE_MS = 120_000;
/** Packages whose installation brings a program. */
const WITH_SCRIPTS = ["esbuild", "workerd"];

export interface Terms {
  readonly archives: readonly Archive[];
  /** Where the archives are, and the project is to be. */
  readonly folder: string;
  readonly template: string;
}

/** Makes a project by the packed `create-messageloop`. @returns its folder */
export function make({ archives, folder, template }: Terms): string {
  const { filename } = archiveOf(archives, "create-messageloop");
  const create = ["--offline", "--yes", "--package", join(folder, filename)];
  const name = `my-${template}`;
  run("npm", folder, "exec", ...create, "--", "create-messageloop", name, "--template", template);
  return join(folder, name);
}

/**
 * Has a project take what was packed, which no registry has, and everything else in the versions that are tested here.
 *
 * @returns names of its dependencies whose versions are not those that were packed
 */
export async function pin(
  place: string,
  { archives, folder }: Terms,
  change: (text: string) => string,
): Promise<readonly string[]> {
  const text = change(await readFile(join(place, "package.json"), "utf8"));
  const manifest = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const dependencies = { ...(manifest["dependencies"] as Readonly<Record<string, string>>) };
  const own: Record<string, Readonly<Record<string, unknown>>> = {};
  const differing: string[] = [];
  for (const name of ["messageloop", "messageloop-server"]) {
    const path = join(folder, archiveOf(archives, name).filename);
    const shipped = JSON.parse(run("tar", folder, "-xzOf", path, "package/package.json"));
    if (dependencies[name] !== shipped.version) differing.push(name);
    const digest = createHash("sha512")
      .update(await readFile(path))
      .digest("base64");
    const resolved = `file:${path}`;
    const { version, license, bin, engines, peerDependencies, peerDependenciesMeta } = shipped;
    const peers = { peerDependencies, peerDependenciesMeta };
    const needs = { dependencies: shipped.dependencies, ...peers, bin, engines };
    own[name] = { version, resolved, integrity: `sha512-${digest}`, license, ...needs };
    dependencies[name] = resolved;
  }
  const pinned = {
    ...manifest,
    dependencies,
    allowScripts: Object.fromEntries(WITH_SCRIPTS.map((name) => [name, true])),
  };
  await writeFile(join(place, "package.json"), JSON.stringify(pinned, null, 2));
  const lock = lockOf(pinned, own);
  await writeFile(join(place, "package-lock.json"), JSON.stringify(lock, null, 2));
  return differing;
}

/** Versions of what is installed, as `name@version`, of packages that are made here. */
export async function installed(place: string): Promise<readonly string[]> {
  const names = ["messageloop", "messageloop-server"];
  const manifests = names.map((name) => manifestOf(join(place, "node_modules", name)));
  return (await Promise.all(manifests)).map(({ version }, at) => `${names[at]}@${version}`);
}

function archiveOf(archives: readonly Archive[], name: string): Archive {
  const found = archives.find((one) => one.name === name);
  if (found === undefined) throw new Error(`nothing was packed for ${name}`);
  return found;
}

export interface Running {
  /** Ends it as somebody at a terminal does, and resolves when all of it has ended. */
  stop(): Promise<void>;
}

/** Runs `npm start` until an address answers 200. */
export async function start(
  place: string,
  health: string,
  env: Readonly<Record<string, string>>,
): Promise<Running> {
  const child = spawn("npm", ["start"], {
    cwd: place,
    env: { ...environment(), WRANGLER_SEND_METRICS: "false", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, as a terminal gives one: Ctrl-C reaches every process of it.
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  let isOver = false;
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      isOver = true;
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    if (isOver) return;
    signal(child, "SIGINT");
    const timer = setTimeout(() => signal(child, "SIGKILL"), PATIENCE_MS);
    await ended;
    clearTimeout(timer);
    // Nobody answers there any more.
    await eventually(
      () => answers(health),
      (status) => status === 0,
      PATIENCE_MS,
    );
  };
  try {
    const look = async (): Promise<number> => {
      if (isOver) throw new Error("npm start has ended");
      return await answers(health);
    };
    await eventually(look, (status) => status === 200, PATIENCE_MS);
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}:\n${output}`);
  }
  return { stop };
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid !== undefined) process.kill(-pid, name);
}

/** The status with which an address answers, 0 where nobody does. */
async function answers(url: string): Promise<number> {
  return await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
    async (answer) => {
      await answer.text();
      return answer.status;
    },
    () => 0,
  );
}
