/** What `npm start` needs before it starts. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("every file of variables that npm start and npm run dev name is there when they need it", () => {
  execFileSync(process.execPath, ["scripts/dev-key.mjs"], { cwd: root, stdio: "ignore" });
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of ["start", "dev"]) {
    const files = [...scripts[name].matchAll(/--env-file (\S+)/g)].map(([, file]) => file);
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  }
});
