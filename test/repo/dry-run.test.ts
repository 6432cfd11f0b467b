/** The Worker's bundle, as Cloudflare would receive it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("wrangler deploy --dry-run bundles the Worker, and nothing of Node", () => {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-bundle-"));
  try {
    const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [wrangler, "deploy", "--dry-run", "--outdir", folder],
      { cwd: root, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
    );
    expect(status, stdout + stderr).toBe(0);
    // A warning here is one at every deploy, such as a class that the exports map forgot.
    expect(stdout + stderr).not.toMatch(/warning/i);
    const bundle = readFileSync(join(folder, "index.js"), "utf8");
    expect(bundle).toMatch(/GatewayDurableObject/);
    expect(bundle).toMatch(/ChannelDurableObject/);
    const imported = [...bundle.matchAll(/\bfrom\s*"([^".][^"]*)"/g)].map((match) => match[1]);
    expect([...new Set(imported)]).toEqual(["cloudflare:workers"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
