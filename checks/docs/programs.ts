/** Blocks of TypeScript and JavaScript: the one compiled by the packed types, the other bundled with the packed modules. */
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { AROUND } from "../../test/support/doc-programs.ts";
import type { Report } from "../report.ts";
import { type Block, blocksOf, PAGES, root } from "./blocks.ts";
import { listed } from "./links.ts";

/** Names that pages leave to the application, beside those of the pages on the SDK. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  "docs/embedding.md": `type Some = import("messageloop-server").Backends;
declare const users: Some, orders: Some, everythingElse: Some;
declare const onlyForOwners: NonNullable<Some["authorizeSubscribe"]>;`,
  ...Object.fromEntries(
    PAGES.filter((page) => page.includes("migrate-from-")).map((page) => [
      page,
      "declare function render(what: unknown): void; declare let saved: { epoch: string; offset: number } | undefined;",
    ]),
  ),
};

/** @param folder with the packages in its `node_modules` */
export async function programs(report: Report, folder: string, plant: boolean): Promise<void> {
  const blocks = PAGES.flatMap(blocksOf);
  const typed = blocks.filter(({ language }) => /^tsx?$/.test(language));
  const plain = blocks.filter(({ language }) => language === "js");
  if (plant) {
    const wrong = { page: "README.md", line: 0, mark: undefined };
    typed.push({ ...wrong, language: "ts", text: "const text: string = 7;" });
    plain.push({ ...wrong, language: "js", text: 'import { none } from "messageloop";\nnone();' });
  }
  const complaints = await compile(folder, typed);
  report.expect(
    complaints.length === 0 && typed.length > 0,
    `${typed.length} programs of TypeScript compile with the packed types${listed(complaints)}`,
  );
  const problems = (await Promise.all(plain.map((block) => bundle(folder, block)))).flat();
  report.expect(
    problems.length === 0 && plain.length > 0,
    `${plain.length} programs of JavaScript find what they import of the packed modules${listed(problems)}`,
  );
}

async function compile(folder: string, blocks: readonly Block[]): Promise<string[]> {
  const place = join(folder, "programs");
  await mkdir(place, { recursive: true });
  const files: string[] = [];
  for (const { page, line, language, text } of blocks) {
    const file = `${page.replace(/\W/g, "-")}-${line}.${language}`;
    const isOption = /^\w+: /.test(text);
    const whole = isOption ? `const options: SharedOptions = { ${text} };` : text;
    await writeFile(join(place, file), `${LEFT_OUT[page] ?? ""}\n${whole}\nexport {};\n`);
    files.push(file);
  }
  await writeFile(join(place, "around.d.ts"), AROUND);
  await writeFile(join(place, "config.json"), "{}");
  const config = {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: {
      lib: ["ES2024", "DOM", "DOM.Iterable"],
      types: ["node"],
      jsx: "react-jsx",
      composite: false,
      noEmit: true,
      rewriteRelativeImportExtensions: false,
      resolveJsonModule: true,
      noUnusedLocals: false,
      noUnusedParameters: false,
    },
    files: ["around.d.ts", ...files],
  };
  await writeFile(join(place, "tsconfig.json"), JSON.stringify(config));
  const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--pretty", "false", "-p", place];
  const { stdout, status } = spawnSync(process.execPath, tsc, { cwd: place, encoding: "utf8" });
  const said = stdout.split("\n").filter((line) => line.includes("error TS"));
  if ((status === 0) !== (said.length === 0)) throw new Error(`the compiler ended with ${status}`);
  return said;
}

async function bundle(folder: string, { page, line, text }: Block): Promise<string[]> {
  try {
    await build({
      stdin: { contents: text, resolveDir: folder, loader: "js" },
      bundle: true,
      format: "esm",
      platform: "node",
      write: false,
      logLevel: "silent",
    });
    return [];
  } catch (error) {
    return [`${page}:${line}: ${(error as Error).message}`];
  }
}
