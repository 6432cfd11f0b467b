/** Every function and class that a package exports shows in its docstring how it is used. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Modules that the packages have as entries, by the script that divides them. */
const ENTRIES = [
  ...read("scripts/packages/list.mjs").matchAll(/^ {4}"\.[^"]*": "((?:\w|[/-])+)",$/gm),
].flatMap(([, module = ""]) => {
  const path = `src/${module}.ts`;
  return existsSync(join(root, path)) ? [path] : [];
});

interface Exported {
  readonly name: string;
  /** The file that declares it. */
  readonly path: string;
}

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** What a file hands on from others, and what it declares; types left out. */
function exportsOf(path: string): Exported[] {
  const text = read(path);
  const handedOn = [...text.matchAll(/^export \{([^}]*)\} from "(\.[^"]+\.ts)";/gm)].flatMap(
    ([, names = "", from = ""]) =>
      names
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "" && !name.startsWith("type "))
        .map((name) => declared(name.split(" as ")[0] ?? name, join(dirname(path), from))),
  );
  const own = [...text.matchAll(/^export (?:async )?(?:function|class|const) (\w+)/gm)].map(
    ([, name = ""]) => ({ name, path }),
  );
  return [...handedOn, ...own];
}

/** Where something is declared that a file may only hand on. */
function declared(name: string, path: string): Exported {
  const { name: found = name, path: from = path } =
    exportsOf(path).find((one) => one.name === name && one.path !== path) ?? {};
  return { name: found, path: from };
}

/** The docstring before a declaration. */
function docOf({ name, path }: Exported): string {
  const declaration = new RegExp(
    String.raw`(/\*\*(?:(?!\*/)[\s\S])*\*/)\s*(?://[^\n]*\n)?export (?:async function|function|class|const) ${name}\b`,
  );
  return declaration.exec(read(path))?.[1] ?? "";
}

test("the entries of the packages are found", () => {
  expect(ENTRIES).toContain("src/index.ts");
  expect(ENTRIES).toContain("src/server/index.ts");
  expect(ENTRIES).toContain("src/worker/library.ts");
});

test.each(ENTRIES)("%s exports nothing without an example", (path) => {
  const without = exportsOf(path)
    // Tables of values, and schemas of messages, are no functions.
    .filter(({ name }) => !/^[A-Z_]+$/.test(name))
    .filter((one) => {
      const doc = docOf(one);
      return !/@example|@internal|@deprecated/.test(doc);
    });
  expect(without).toEqual([]);
});
