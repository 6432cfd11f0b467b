/** Everything that can be said about the source without running it. Reports all, then fails. */
import { run, script } from "./run.mjs";

const results = {
  biome: run("biome", "check", "--error-on-warnings", "."),
  "buf lint": run("buf", "lint"),
  "generated code": script("generate.mjs", "--check"),
  "OpenAPI document": script("openapi.mjs", "--check"),
  "wrangler types": run("wrangler", "types", "--check", "--strict-vars=false"),
  types: run("tsc", "-b"),
};
const failed = Object.keys(results).filter((name) => !results[name]);
if (failed.length > 0) {
  console.error(`lint failed: ${failed.join(", ")}`);
  process.exit(1);
}
