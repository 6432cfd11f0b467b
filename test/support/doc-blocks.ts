/** Blocks of code of the documents, for tests that run them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** The blocks of a language, in their order. @param page such as `docs/client.md` */
export function blocks(page: string, language: string): string[] {
  const text = readFileSync(`${root}${page}`, "utf8");
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, its]) => its === language)
    .map(([, , block = ""]) => block);
}

/** A program of a document as one module, which has the SDK of the sources in it. */
export async function bundled(program: string, options: BuildOptions = {}): Promise<string> {
  const { outputFiles } = await build({
    ...options,
    stdin: { contents: program, resolveDir: root, loader: "ts" },
    bundle: true,
    format: "esm",
    write: false,
    alias: { messageloop: `${root}src/index.ts` },
  });
  return outputFiles[0]?.text ?? "";
}
