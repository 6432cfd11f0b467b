/** The version of this package, as its package.json has it. */
import { readFileSync } from "node:fs";

export const VERSION: string = versionOf(import.meta.url);

/**
 * Version of the package that a file belongs to. The search goes upwards, because the way to the top is
 * longer from the built files than from the sources.
 */
export function versionOf(file: string): string {
  for (let folder = new URL(".", file); ; folder = new URL("..", folder)) {
    const version = versionIn(new URL("package.json", folder));
    if (version !== undefined) return version;
    if (folder.pathname === "/" || folder.href === new URL("..", folder).href) {
      throw new Error(`${file} is in no package that has a version`);
    }
  }
}

/** Undefined also for a package.json that only marks a folder's module type. */
function versionIn(manifest: URL): string | undefined {
  let text: string;
  try {
    text = readFileSync(manifest, "utf8");
  } catch {
    return undefined;
  }
  const { version } = JSON.parse(text) as { readonly version?: unknown };
  return typeof version === "string" ? version : undefined;
}
