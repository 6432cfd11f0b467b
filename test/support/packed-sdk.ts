/** Puts the modules of an installed SDK in the place of their sources, so that tests show what programs get. */
import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vitest/config";

const sources = fileURLToPath(new URL("../../src/", import.meta.url));

/** @param place where the SDK is installed; undefined changes nothing */
export function packedSdk(place: string | undefined): Plugin[] {
  if (place === undefined) return [];
  return [
    {
      name: "packed-sdk",
      enforce: "pre",
      resolveId(name, importer) {
        if (importer === undefined || !name.startsWith(".")) return null;
        const path = relative(sources, resolve(dirname(importer), name));
        const packed = join(place, "lib", path.replace(/\.ts$/, ".js"));
        return !path.startsWith("..") && existsSync(packed) ? packed : null;
      },
    },
  ];
}
