/** The whole test command: static checks, build, then every test project. */
import { run, script } from "./run.mjs";

if (!script("lint.mjs") || !script("build.mjs")) process.exit(1);
if (!run("vitest", "run", ...process.argv.slice(2))) process.exit(1);
