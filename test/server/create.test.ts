/** `create-messageloop`: what it makes of each template, what it asks, and what it refuses by which code. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { main } from "../../src/create/main.ts";
import { createProject } from "../../src/create/project.ts";
import { TEMPLATES, templateNamed } from "../../src/create/templates.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const CLI = join(root, "src/create/cli.ts");
let place: string;

beforeEach(async () => {
  place = await realpath(await mkdtemp(join(tmpdir(), "messageloop-create-")));
});

afterEach(() => rm(place, { recursive: true, force: true }));

/** The command, with nobody to ask. */
function create(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    cwd: place,
    encoding: "utf8",
    input: "",
  });
  return { status, stdout, stderr };
}

/** The command, with a person who answers one question after the other, and then goes. */
async function converse(args: readonly string[], ...answers: string[]): Promise<string> {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input });
  const output = Object.assign(new PassThrough(), { isTTY: true });
  let shown = "";
  output.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    if (!stripVTControlCharacters(shown).endsWith("): ")) return;
    const answer = answers.shift();
    if (answer === undefined) input.end();
    else input.write(`${answer}\n`);
    shown += "\n";
  });
  await main(args, { input, output }).finally(async () => {
    output.end();
    await once(output, "end");
  });
  return stripVTControlCharacters(shown);
}

test.each(TEMPLATES)(
  "$name: every file of the template, with the project's name",
  async ({ name }) => {
    const folder = join(place, "my-app");
    const files = await createProject({ folder, template: templateNamed(name) });
    const there = await readdir(folder, { recursive: true, withFileTypes: true });
    expect(there.filter((entry) => entry.isFile())).toHaveLength(files.length);
    expect(files).toEqual(expect.arrayContaining([".gitignore", "README.md", "package.json"]));
    for (const file of files) {
      const text = await readFile(join(folder, file), "utf8");
      const own = file === ".gitignore" ? "_gitignore" : file;
      const original = await readFile(join(root, "templates", name, own), "utf8");
      expect(text, file).toBe(original.replaceAll('"messageloop-app"', '"my-app"'));
      expect(text, file).not.toContain("messageloop-app");
    }
  },
);

test("it says what was made and what comes next, and that is where", () => {
  const made = create("deep/my-app", "--template", "chat");
  expect(made).toEqual({
    status: 0,
    stdout:
      "deep/my-app is made from the template chat.\n\n  cd deep/my-app\n  npm install\n  npm start\n",
    stderr: "",
  });
  expect(existsSync(join(place, "deep/my-app/page/main.tsx"))).toBe(true);
  const other = create("other", "-t", "self-hosted", "-n", "another-name").stdout;
  expect(other).toContain("It needs Redis 7");
});

test("the folder in which it runs, where that is empty but for git's", async () => {
  const folder = join(place, "here");
  await mkdir(join(folder, ".git"), { recursive: true });
  const { status, stdout } = spawnSync(process.execPath, [CLI, ".", "-t", "worker"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^\. is made/)]);
  expect(await readFile(join(folder, "package.json"), "utf8")).toContain('"name": "here"');
});

test.each([
  [["full", "-t", "chat"], "FOLDER_NOT_EMPTY: full exists and is not empty"],
  [["a-file", "-t", "chat"], "NOT_A_FOLDER: a-file is a file"],
  [["a-file/below", "-t", "chat"], "NOT_A_FOLDER: a-file/below is a file"],
  [
    ["new", "-t", "vue"],
    'UNKNOWN_TEMPLATE: there is no template "vue"; there are worker, self-hosted, chat',
  ],
  [
    ["New App", "-t", "chat"],
    'BAD_NAME: a project\'s name is 1 to 63 lower-case letters, digits and dashes, and "New App" is not; --name',
  ],
  [["new", "-t", "chat", "-n", "-x-"], "BAD_ARGUMENTS: "],
  [["new", "-t", "chat", "--name=x/y"], "BAD_NAME: "],
  [["new", "-t", "chat", `--name=${"x".repeat(64)}`], "BAD_NAME: "],
  [["new", "old", "-t", "chat"], "BAD_ARGUMENTS: more than one folder"],
  [["new", "--templates", "chat"], "BAD_ARGUMENTS: Unknown option '--templates'"],
  [["-t", "chat"], "FOLDER_MISSING: "],
  [["new"], "TEMPLATE_MISSING: name a template by --template: worker, self-hosted, chat"],
])("%j is refused", async (args, told) => {
  await mkdir(join(place, "full"));
  await writeFile(join(place, "full/kept"), "");
  await writeFile(join(place, "a-file"), "kept");
  const { status, stdout, stderr } = create(...args);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(`create-messageloop: ${told}`);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect((await readdir(place, { recursive: true })).sort()).toEqual([
    "a-file",
    "full",
    "full/kept",
  ]);
});

test("a person is asked for what is not given", async () => {
  const folder = join(place, "asked");
  const shown = await converse([], folder, "3");
  expect(shown).toMatch(/Folder \(messageloop-app\): [\s\S]*3 {2}chat .*\nTemplate \(1\): /);
  expect(existsSync(join(folder, "page/main.tsx"))).toBe(true);
  const named = join(place, "named");
  expect(await converse([named], "self-hosted")).not.toContain("Folder (");
  expect(existsSync(join(named, "compose.yaml"))).toBe(true);
  const first = join(place, "first");
  await converse(["--template", "worker"], first);
  expect(existsSync(join(first, "wrangler.toml"))).toBe(true);
});

test("a person who goes, or answers what there is not, gets no project", async () => {
  const folder = join(place, "none");
  await expect(converse([], folder)).rejects.toMatchObject({ code: "CANCELLED" });
  await expect(converse([folder], "4")).rejects.toMatchObject({ code: "UNKNOWN_TEMPLATE" });
  expect(await readdir(place)).toEqual([]);
});

test("help and version", async () => {
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  expect(create("--version")).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  expect(create("--help").stdout).toContain("npm create messageloop -- my-app --template chat");
});
