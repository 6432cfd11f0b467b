/** The Worker's bundle, as Cloudflare would receive it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("wrangler deploy --dry-run bundles the Worker, its classes, and nothing of Node", () => {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-bundle-"));
  try {
    const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [wrangler, "deploy", "--dry-run", "--outdir", folder],
      { cwd: root, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
    );
    expect(status, stdout + stderr).toBe(0);
    expect(stdout + stderr).not.toMatch(/warning/i);
    const bundle = readFileSync(join(folder, "index.js"), "utf8");
    const imported = [...bundle.matchAll(/\b(?:from|import)\s*"([^".][^"]*)"/g)].map(
      ([, name]) => name,
    );
    expect([...new Set(imported)]).toEqual(["cloudflare:workers"]);
    // wrangler says nothing about a class that the exports map forgot; at run time it has no SQL.
    expect(declaredClasses()).toEqual(exportedClasses(bundle));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function exportedClasses(bundle: string): string[] {
  const list = /^export \{([^}]*)\};?\s*(?:\/\/.*)?$/m.exec(bundle)?.[1] ?? "";
  const names = list.split(",").map((name) => name.trim().split(" as ").at(-1) ?? "");
  return names.filter((name) => name.endsWith("DurableObject")).sort();
}

function declaredClasses(): string[] {
  const config = readFileSync(join(root, "wrangler.toml"), "utf8");
  return [...config.matchAll(/^\[exports\.(\w+)\]/gm)].map(([, name]) => name ?? "").sort();
}
