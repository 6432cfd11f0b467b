/** The README's first program, made into a module that returns what it printed. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * A browser-ready module with `run(url)`: the program as it stands in the README, apart from the
 * address. It resolves with the lines it printed once there is one.
 */
export async function example(): Promise<string> {
  const readme = await readFile(`${root}README.md`, "utf8");
  const program = /```ts\n(import [^`]*from "messageloop"[^`]*)```/.exec(readme)?.[1];
  if (program === undefined) throw new Error("the README has no first program");
  const lines = program.split("\n");
  const imports = lines.filter((line) => line.startsWith("import "));
  const statements = lines.filter((line) => !line.startsWith("import "));
  const body = statements.join("\n").replace('"ws://localhost:9080/ws"', "url");
  const source = `${imports.join("\n")}
    export async function run(url) {
      const printed = [];
      const seen = Promise.withResolvers();
      const console = { log: (...words) => { printed.push(words.join(" ")); seen.resolve(); } };
      ${body}
      await seen.promise;
      await client.close();
      return printed;
    }`;
  const result = await build({
    stdin: { contents: source, resolveDir: root, loader: "ts" },
    bundle: true,
    format: "esm",
    write: false,
    alias: { messageloop: `${root}src/index.ts` },
  });
  return result.outputFiles[0]?.text ?? "";
}
