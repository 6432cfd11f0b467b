/** A project out of a template. */
import { constants } from "node:fs";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { Failure } from "./failure.ts";
import { folderOf, type Template } from "./templates.ts";

/** The name that the files of every template have where the project's belongs. */
const PLACEHOLDER = "messageloop-app";
const NAMED_FILES: ReadonlySet<string> = new Set(["package.json", "wrangler.toml"]);
/** What npm takes as a package's name and Cloudflare as a Worker's. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** What a folder may have that counts as empty. */
const NO_CONTENT: ReadonlySet<string> = new Set([".git"]);

/** The names of files that npm would leave out of a package. */
const RENAMED: Readonly<Record<string, string>> = { _gitignore: ".gitignore" };

export interface ProjectTerms {
  /** The project's folder, which is made where it does not exist. */
  readonly folder: string;
  readonly template: Template;
  /** 1 to 63 lower-case letters, digits and dashes; default the folder's name. */
  readonly name?: string;
}

/**
 * Makes a project: copies the template's files and gives them the project's name. Nothing is overwritten.
 *
 * @returns the paths of its files, below its folder
 * @throws Failure BAD_NAME, FOLDER_NOT_EMPTY and NOT_A_FOLDER before anything is written; CANNOT_WRITE
 */
export async function createProject(terms: ProjectTerms): Promise<readonly string[]> {
  const folder = resolve(terms.folder);
  const name = terms.name ?? basename(folder);
  if (!NAME.test(name)) throw badName(name, terms.name === undefined);
  await expectEmpty(folder, terms.folder);
  const from = folderOf(terms.template);
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(from, join(entry.parentPath, entry.name)))
    .sort();
  try {
    await mkdir(folder, { recursive: true });
    return await Promise.all(files.map((file) => put(from, folder, file, name)));
  } catch (error) {
    throw new Failure("CANNOT_WRITE", `cannot write the project: ${(error as Error).message}`);
  }
}

async function put(from: string, to: string, file: string, name: string): Promise<string> {
  const own = basename(file);
  const path = join(dirname(file), RENAMED[own] ?? own);
  await mkdir(dirname(join(to, path)), { recursive: true });
  if (NAMED_FILES.has(own)) {
    const text = await readFile(join(from, file), "utf8");
    await writeFile(join(to, path), text.replaceAll(`"${PLACEHOLDER}"`, `"${name}"`), {
      flag: "wx",
    });
  } else await copyFile(join(from, file), join(to, path), constants.COPYFILE_EXCL);
  return path;
}

/** @throws Failure unless a folder is empty or does not exist */
async function expectEmpty(folder: string, shown: string): Promise<void> {
  let names: readonly string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    if (code === "ENOTDIR") throw new Failure("NOT_A_FOLDER", `${shown} is a file`);
    throw new Failure("CANNOT_WRITE", `cannot read ${shown}: ${message}`);
  }
  if (names.some((one) => !NO_CONTENT.has(one))) {
    throw new Failure("FOLDER_NOT_EMPTY", `${shown} exists and is not empty; name another folder`);
  }
}

function badName(name: string, isOfFolder: boolean): Failure {
  const hint = isOfFolder ? "; --name gives the project another name than its folder" : "";
  return new Failure(
    "BAD_NAME",
    `a project's name is 1 to 63 lower-case letters, digits and dashes, and ${JSON.stringify(name)} is not${hint}`,
  );
}
