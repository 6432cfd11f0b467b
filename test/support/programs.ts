/**
 * Programs that tests start by the hundred. Node takes a second to load their three hundred modules of TypeScript, so
 * vitest runs `build-programs.ts` first, which makes bundles of them. Elsewhere those for Node run as they stand.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** For Node: paths of their sources below the repository. */
export const PROGRAMS = {
  /** The command line. */
  cli: "src/server/cli.ts",
  /** The self-hosted server with what only tests may have. */
  entry: "test/server/entry.ts",
} as const;

/** For workerd. */
export const WORKERS = {
  /** As it is deployed, without a config.yaml. */
  worker: "src/worker/index.ts",
  "worker-entry": "test/worker/entry.ts",
  "worker-api-entry": "test/worker/api-entry.ts",
  "worker-objects-entry": "test/worker/objects-entry.ts",
  "own-worker": "test/worker/own-worker.ts",
} as const;

export type WorkerName = keyof typeof WORKERS;

/** The variable with the folder that has the bundles, where there are some. */
export const BUNDLES = "MESSAGELOOP_TEST_PROGRAMS";
/** The file beside them with what wrangler.toml says of the Worker. */
export const TERMS = "wrangler.json";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What is run of one of them. */
export function programPath(name: keyof typeof PROGRAMS | WorkerName): string {
  const bundles = process.env[BUNDLES];
  if (bundles !== undefined) return join(bundles, `${name}.mjs`);
  return join(root, { ...PROGRAMS, ...WORKERS }[name]);
}
