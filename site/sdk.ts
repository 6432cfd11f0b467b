/** Gives the pages that TypeDoc has written the names that programs import. */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Modules of the sources, as TypeDoc names them, their pages, and what programs import. */
const MODULES = [
  ["index", "index-1", "messageloop"],
  ["client/react", "client/react", "messageloop/react"],
  ["client/queue/indexeddb", "client/queue/indexeddb", "messageloop/indexeddb"],
  ["client/shared", "client/shared", "messageloop/shared"],
  ["client/stream", "client/stream", "messageloop/stream"],
  ["client/testing", "client/testing", "messageloop/testing"],
  ["client/protobuf", "client/protobuf", "messageloop/protobuf"],
  ["client/v0", "client/v0", "messageloop/v0"],
  ["server", "server", "messageloop-server"],
  ["worker/library", "worker/library", "messageloop-server/worker"],
  ["ports", "ports", "messageloop-server/ports"],
] as const;

/** @param folder where TypeDoc has written, one page for each module */
export function nameModules(folder: string): void {
  const written = globSync("**/*.md", { cwd: folder });
  const texts = new Map(written.map((page) => [page, readFileSync(join(folder, page), "utf8")]));
  const named = MODULES.map(([module, page, name]) => {
    const text = texts.get(`${page}.md`);
    if (text === undefined) throw new Error(`TypeDoc has written no page of ${module}`);
    return { module, name, file: fileOf(name), text };
  });
  rmSync(folder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  for (const { module, name, file, text } of named) {
    put(folder, file, relinked(text.replace(`# ${module}\n`, `# ${name}\n`)));
  }
  const list = named.map(({ name, file }) => `- [\`${name}\`](./${file})`).join("\n");
  const what = "What programs import, written from the sources.";
  put(folder, "index.md", `# Reference of the SDK and the server\n\n${what}\n\n${list}\n`);
}

function fileOf(name: string): string {
  return `${name.replace("/", "-")}.md`;
}

/** Links to pages of modules, from wherever they were. */
function relinked(text: string): string {
  return text.replace(/\]\((?:\.{0,2}\/)*([\w/-]+)\.md((?:#[^)]*)?)\)/g, (all, page, anchor) => {
    const last = String(page);
    const [, , name] = MODULES.find(([, its]) => its === last || its.endsWith(`/${last}`)) ?? [];
    return name === undefined ? all : `](./${fileOf(name)}${anchor})`;
  });
}

function put(folder: string, file: string, text: string): void {
  writeFileSync(join(folder, file), text);
}
