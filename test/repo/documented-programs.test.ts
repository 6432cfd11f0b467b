/** The programs of the documents on the SDK compile, as those do who copy them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { blocks, root } from "../support/doc-blocks.ts";
import { AROUND } from "../support/doc-programs.ts";

/** Those of the other pages are run: docs/quickstart.md, docs/migrate-from-*.md. */
const PAGES = ["client", "offline", "react", "shared", "surveys"].map((name) => `docs/${name}.md`);

/** Entries of the package, and where their sources are. */
const ENTRIES = {
  messageloop: "src/index.ts",
  "messageloop/indexeddb": "src/client/queue/indexeddb.ts",
  "messageloop/react": "src/client/react/index.ts",
  "messageloop/shared": "src/client/shared/index.ts",
  "messageloop/stream": "src/client/stream/index.ts",
  "messageloop/testing": "src/client/testing/index.ts",
  "messageloop/v0": "src/client/v0/index.ts",
};

test("every program compiles", () => {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-programs-"));
  try {
    const files = PAGES.flatMap((page) =>
      ["ts", "tsx"].flatMap((language) =>
        blocks(page, language).map((program, i) => {
          const file = `${page.replace(/\W/g, "-")}-${language}-${i + 1}.${language}`;
          // A module, also where it imports nothing; and a line that is an option has the options around it.
          const isOption = /^\w+: /.test(program);
          const whole = isOption ? `const options: SharedOptions = { ${program} };` : program;
          writeFileSync(join(folder, file), `${whole}\nexport {};\n`);
          return file;
        }),
      ),
    );
    expect(files.length).toBeGreaterThan(15);
    writeFileSync(join(folder, "around.d.ts"), AROUND);
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    expect(compile(folder, ["around.d.ts", ...files])).toEqual([]);
    // A compiler that looks at nothing has nothing to say.
    writeFileSync(join(folder, "wrong.ts"), "useChannel(7);\nexport {};\n");
    expect(compile(folder, ["around.d.ts", "wrong.ts"])).toHaveLength(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** @returns what the compiler complains of */
function compile(folder: string, files: readonly string[]): string[] {
  const paths = Object.entries(ENTRIES).map(([entry, file]) => [entry, [join(root, file)]]);
  const config = {
    extends: join(root, "tsconfig.pages.json"),
    compilerOptions: {
      paths: Object.fromEntries(paths),
      rootDir: "/",
      incremental: false,
      tsBuildInfoFile: null,
      types: [],
      noUnusedLocals: false,
      noUnusedParameters: false,
    },
    files,
    include: [],
    references: [],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--pretty", "false", "-p", folder];
  const { stdout, status } = spawnSync(process.execPath, tsc, { cwd: folder, encoding: "utf8" });
  const complaints = stdout.split("\n").filter((line) => line.includes("error TS"));
  expect(status === 0).toBe(complaints.length === 0);
  return complaints;
}
