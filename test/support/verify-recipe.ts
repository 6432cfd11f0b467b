/** The program by which docs/backends.md has backends verify signed requests, as it is printed there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** The parts of a request as Node has them. */
export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}

export type Verify = (
  request: ReceivedRequest,
  secrets: readonly string[],
  now?: number,
) => boolean;

export async function documentedVerify(): Promise<Verify> {
  const text = readFileSync(new URL("../../docs/backends.md", import.meta.url), "utf8");
  const [, recipe] = /```js\n(import \{[\s\S]*?export function verify[\s\S]*?)```/.exec(text) ?? [];
  if (recipe === undefined) throw new Error("docs/backends.md has no recipe");
  const folder = mkdtempSync(join(tmpdir(), "messageloop-recipe-"));
  try {
    const file = join(folder, "verify.mjs");
    writeFileSync(file, recipe);
    return ((await import(pathToFileURL(file).href)) as { verify: Verify }).verify;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
