/** What wrangler runs before it bundles the Worker. */
import { join } from "node:path";
import { root, run } from "./run.mjs";

// The Node that wrangler has found may run no TypeScript; the project's does.
const configured = run("node", join(root, "scripts/worker-config.mjs"), ...process.argv.slice(2));
if (!configured || !run("node", join(root, "scripts/build-page.mjs"))) process.exit(1);
