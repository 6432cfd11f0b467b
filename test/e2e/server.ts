/** One wrangler dev for all end-to-end files: starting it takes longer than most of them. */
import type { TestProject } from "vitest/node";
import { KEY_ENTRIES } from "../http/api/cases.ts";
import { startWrangler } from "../support/wrangler.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Such as `http://localhost:1234`. */
    url: string;
  }
}

/** Vitest's global setup; what it returns is the teardown. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startWrangler({
    secrets: { MESSAGELOOP_API_KEYS: JSON.stringify(KEY_ENTRIES) },
    // Gateways report what they hold, which the console shows.
    config: "api: { metrics: true }\n",
    page: true,
  });
  project.provide("url", server.url);
  return () => server.stop();
}
