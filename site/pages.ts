/** Gathers the pages of the site in dist/pages: those of docs/, the protocol, and what is written from sources. */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { comparison } from "./comparison.ts";
import { serverApi } from "./server-api.ts";

export const REPOSITORY = "https://github.com/messageloop/messageloop";

const root = fileURLToPath(new URL("..", import.meta.url));
export const target = fileURLToPath(new URL("dist/pages", import.meta.url));

/** Pages of the site by their files in the repository. */
function files(): ReadonlyMap<string, string> {
  const docs = globSync("docs/**/*.md", { cwd: root }).map(
    (file) => [file, relative("docs", file)] as const,
  );
  const own = ["index.md", "cost-calculator.md"].map((name) => [`site/${name}`, name] as const);
  const others = {
    "SPEC.md": "spec.md",
    "bench/README.md": "bench.md",
    "bench/results.md": "results.md",
  };
  return new Map([...docs, ...own, ...Object.entries(others)]);
}

export function stage(): void {
  rmSync(target, { recursive: true, force: true });
  const pages = files();
  for (const [file, page] of pages) {
    put(page, relinked(readFileSync(join(root, file), "utf8"), file, page, pages));
  }
  put(
    "comparison.md",
    comparison(JSON.parse(readFileSync(join(root, "bench/results.json"), "utf8"))),
  );
  const { page, document } = serverApi();
  put("reference/server-api.md", page);
  put("public/openapi.json", document);
  for (const image of globSync("docs/**/*.{png,svg}", { cwd: root })) {
    cpSync(join(root, image), join(target, relative("docs", image)));
  }
}

/** Links to files that are pages lead to them, and those to other files to the repository. */
function relinked(
  text: string,
  file: string,
  page: string,
  pages: ReadonlyMap<string, string>,
): string {
  return text.replace(/(\]\()(\.{0,2}\/?[^):#\s]+)((?:#[^)\s]*)?\))/g, (_, open, to, close) => {
    const aim = posix.join(posix.dirname(file), to);
    const other = pages.get(aim);
    if (other === undefined) return `${open}${REPOSITORY}/blob/main/${aim}${close}`;
    const path = posix.relative(posix.dirname(page), other);
    return `${open}${path.startsWith(".") ? path : `./${path}`}${close}`;
  });
}

function put(page: string, text: string): void {
  const path = join(target, page);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
