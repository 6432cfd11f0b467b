/** The Worker's bundle, as Cloudflare would receive it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepared } from "../support/wrangler.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "messageloop-bundle-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What a deploy of the Worker with a config.yaml would send, if it gets that far. */
async function dryRun(config?: string): Promise<{ status: number | null; output: string }> {
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  const { env, more } = await prepared(config === undefined ? {} : { config }, folder);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [wrangler, "deploy", "--dry-run", "--outdir", join(folder, "out"), ...more],
    { cwd: root, encoding: "utf8", env: { ...env, NO_COLOR: "1" } },
  );
  return { status, output: stdout + stderr };
}

function bundled(): string {
  return readFileSync(join(folder, "out/index.js"), "utf8");
}

test("wrangler deploy --dry-run bundles the Worker, its classes, and nothing of Node", async () => {
  const { status, output } = await dryRun();
  expect(status, output).toBe(0);
  expect(output).not.toMatch(/warning/i);
  const bundle = bundled();
  const imported = [...bundle.matchAll(/\b(?:from|import)\s*"([^".][^"]*)"/g)].map(
    ([, name]) => name,
  );
  expect([...new Set(imported)]).toEqual(["cloudflare:workers"]);
  // wrangler says nothing about a class that the exports map forgot; at run time it has no SQL.
  expect(declaredClasses()).toEqual(exportedClasses(bundle));
});

test("config.yaml is part of the bundle, where secrets stand by their names", async () => {
  const { status, output } = await dryRun(`
limits: { message_bytes: 12345 }
api: { ticket_keys: [{ id: a, secret: { secret: NAME_OF_A_SECRET } }] }
`);
  expect(status, output).toBe(0);
  expect(output).toContain("NAME_OF_A_SECRET  api.ticket_keys.0.secret");
  expect(bundled()).toMatch(/message_bytes: 12345\b/);
  expect(bundled()).toContain('secret: "NAME_OF_A_SECRET"');
});

test("a deploy with a wrong config.yaml ends with the path of what is wrong, and repeats no secret", async () => {
  const secret = "hunter2 hunter2 hunter2 hunter2 hunter2";
  const { status, output } = await dryRun(`
transport: { grpc: { addr: ":9090" } }
limits: { message_byte: 1 }
api: { ticket_keys: [{ id: a, secret: ${secret} }] }
`);
  expect(status).toBe(1);
  expect(output).toContain("transport.grpc: is a setting of the self-hosted server alone");
  expect(output).toContain("limits.message_byte: is not a setting");
  expect(output).toContain("api.ticket_keys.0.secret: is a secret, which must not stand here");
  expect(output).not.toContain("hunter2");
  expect(() => bundled()).toThrow("ENOENT");
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
